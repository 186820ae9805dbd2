#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "eqo/cli/output.h"
#include "eqo/core/error.h"
#include "eqo/planner/run_report.h"

namespace eqo::cli {

// The `communication` and `seconds` objects of the command line's JSON. Bytes as the client sees them: sent by it and
// received by it.
nlohmann::json communication_json(const RunReport& report);
nlohmann::json seconds_json(const RunReport& report);

// A table of bytes, flights and seconds by kind of step, and the totals.
void print_by_kind(const Output& out, const RunReport& report);
// The same, one row a step.
void print_by_step(const Output& out, const RunReport& report);

// One answer of infer and local.
struct Answer {
  std::string name;
  int label = 0;
  std::string class_name;
  std::vector<std::int64_t> logits;   // empty where the server reveals the label alone
  std::vector<double> probabilities;  // of the logits
  int truth = -1;                     // the data set's label
  int verified = -1;                  // -1: not compared; 0, 1
};
// `outputs` as ClientSession::infer gives them.
Answer make_answer(const PublicPlan& plan, std::string name, const std::vector<std::int64_t>& outputs, int truth);
nlohmann::json answers_json(const std::vector<Answer>& answers);
// What --verify says: none if all are equal to the twin's, or were not compared.
std::optional<Error> verification_error(const std::vector<Answer>& answers);
void print_answers(const Output& out, const PublicPlan& plan, const std::vector<Answer>& answers);

}  // namespace eqo::cli
