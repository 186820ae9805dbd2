#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "eqo/core/secret.h"
#include "eqo/model/graph.h"

namespace CLI {
class App;
}

namespace eqo::cli {

// The pictures of `infer` and `local`: files, or images of a data set.
struct InputFlags {
  std::vector<std::string> files;
  std::string data;
  std::vector<std::string> indices;
  std::vector<std::string> crops;  // none, or one a file
};
void add_input_flags(CLI::App& cmd, InputFlags& flags);

// Throws usage_error unless exactly one of the two kinds is given. Before anything is connected.
void check_inputs(const InputFlags& flags);

struct Inputs {
  std::vector<std::string> names;  // one an image
  std::vector<int> labels;         // of a data set; -1 for files
  Words words;                     // quantized, one behind the other
};
Inputs load_inputs(const InputFlags& flags, const PublicPlan& plan);

}  // namespace eqo::cli
