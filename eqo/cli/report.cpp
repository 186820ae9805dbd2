#include "eqo/cli/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "eqo/model/quantize.h"

namespace eqo::cli {
namespace {

// One line of the table; what is prepared has a column only where something is.
struct Row {
  std::string name, op;
  std::uint64_t setup = 0, prepared = 0, online = 0, flights = 0;
  double seconds = 0;
};

class Table {
 public:
  Table(const Output& out, const RunReport& report, const std::string& first)
      : out_(out), prepared_(report.prepared_bytes != 0) {
    out.text(fmt::format("{:<34} {:<15} {:>15}{} {:>15} {:>8} {:>9}", first, "", "setup bytes",
                         prepared_ ? fmt::format(" {:>15}", "prepared bytes") : "", "online bytes", "flights",
                         "seconds"));
  }
  void row(const Row& r) const {
    out_.text(fmt::format("{:<34} {:<15} {:>15}{} {:>15} {:>8} {:>9.3f}", r.name, r.op, grouped(r.setup),
                          prepared_ ? fmt::format(" {:>15}", grouped(r.prepared)) : "", grouped(r.online), r.flights,
                          r.seconds));
  }
  void totals(const RunReport& r) const {
    row({"total", "", r.setup_bytes, r.prepared_bytes, r.online_bytes, r.total_flights(),
         r.setup_seconds + r.prepared_seconds + r.online_seconds});
    const std::string prepared =
        prepared_ ? fmt::format("prepared {} in {:.2f} s, ", megabytes(r.prepared_bytes), r.prepared_seconds) : "";
    out_.text(fmt::format("client sent {}, received {}; setup {} in {:.2f} s, {}online {} in {:.2f} s",
                          megabytes(r.client_bytes), megabytes(r.server_bytes), megabytes(r.setup_bytes),
                          r.setup_seconds, prepared, megabytes(r.online_bytes), r.online_seconds));
  }

 private:
  const Output& out_;
  bool prepared_;
};

}  // namespace

nlohmann::json communication_json(const RunReport& r) {
  nlohmann::json layers = nlohmann::json::array();
  for (const LayerRow& l : r.layers)
    layers.push_back({{"name", l.name},
                      {"op", l.op},
                      {"bytes", l.bytes()},
                      {"setup_bytes", l.setup_bytes},
                      {"prepared_bytes", l.prepared_bytes},
                      {"online_bytes", l.online_bytes},
                      {"flights", l.flights},
                      {"seconds", l.seconds}});
  return {{"setup_bytes", r.setup_bytes},
          {"prepared_bytes", r.prepared_bytes},
          {"online_bytes", r.online_bytes},
          {"total_bytes", r.total_bytes()},
          {"sent_bytes", r.client_bytes},
          {"received_bytes", r.server_bytes},
          {"flights", r.total_flights()},
          {"setup_flights", r.setup_flights},
          {"prepared_flights", r.prepared_flights},
          {"online_flights", r.online_flights},
          {"layers", layers}};
}

nlohmann::json seconds_json(const RunReport& r) {
  return {{"setup", r.setup_seconds}, {"prepared", r.prepared_seconds}, {"online", r.online_seconds}};
}

void print_by_kind(const Output& out, const RunReport& r) {
  std::map<std::string, LayerRow> kinds;
  std::vector<std::string> order;
  std::map<std::string, std::uint64_t> bytes;
  for (const LayerRow& l : r.layers) bytes[l.op] += l.bytes();
  for (const LayerRow& l : r.layers) {
    const std::string kind = bytes[l.op] == 0 ? "local steps" : l.op;
    if (!kinds.contains(kind)) order.push_back(kind);
    LayerRow& k = kinds[kind];
    k.setup_bytes += l.setup_bytes;
    k.prepared_bytes += l.prepared_bytes;
    k.online_bytes += l.online_bytes;
    k.flights += l.flights;
    k.seconds += l.seconds;
  }
  const Table table(out, r, "kind of step");
  for (const std::string& op : order) {
    const LayerRow& k = kinds[op];
    table.row({op, "", k.setup_bytes, k.prepared_bytes, k.online_bytes, k.flights, k.seconds});
  }
  table.totals(r);
}

void print_by_step(const Output& out, const RunReport& r) {
  const Table table(out, r, "step");
  for (const LayerRow& l : r.layers)
    if (l.bytes() > 0) table.row({l.name, l.op, l.setup_bytes, l.prepared_bytes, l.online_bytes, l.flights, l.seconds});
  table.totals(r);
}

Answer make_answer(const PublicPlan& plan, std::string name, const std::vector<std::int64_t>& outputs, int truth) {
  Answer a;
  a.name = std::move(name);
  a.truth = truth;
  if (plan.nodes[static_cast<std::size_t>(plan.output)].op == Op::kArgMax) {
    a.label = static_cast<int>(outputs.front());
  } else {
    a.logits = outputs;
    a.label = top_label(outputs);
    a.probabilities = softmax(logits_to_real(plan, outputs));
  }
  if (static_cast<std::size_t>(a.label) < plan.classes.size())
    a.class_name = plan.classes[static_cast<std::size_t>(a.label)];
  return a;
}

nlohmann::json answers_json(const std::vector<Answer>& answers) {
  nlohmann::json list = nlohmann::json::array();
  for (const Answer& a : answers) {
    nlohmann::json image{{"image", a.name}, {"label", a.label}, {"class", a.class_name}, {"logits", nullptr}};
    if (!a.logits.empty()) {
      image["logits"] = a.logits;
      image["probabilities"] = a.probabilities;
    }
    if (a.truth >= 0) image["truth"] = a.truth;
    if (a.verified >= 0) image["verified"] = a.verified == 1;
    list.push_back(std::move(image));
  }
  return list;
}

std::optional<Error> verification_error(const std::vector<Answer>& answers) {
  for (const Answer& a : answers)
    if (a.verified == 0) return Error(Category::kVerification, a.name + ": the private result is not the twin's");
  return {};
}

void print_answers(const Output& out, const PublicPlan& plan, const std::vector<Answer>& answers) {
  for (const Answer& a : answers) {
    std::string line =
        fmt::format("{}: {}", a.name, a.class_name.empty() ? fmt::format("class {}", a.label) : a.class_name);
    if (!a.probabilities.empty()) {
      std::vector<std::size_t> order(a.probabilities.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t x, std::size_t y) { return a.probabilities[x] > a.probabilities[y]; });
      line += fmt::format(" {:.1f} %", 100 * a.probabilities[order[0]]);
      std::string rest;
      for (std::size_t i = 1; i < std::min<std::size_t>(3, order.size()); ++i)
        rest += fmt::format("{}{} {:.1f} %", rest.empty() ? "" : ", ",
                            order[i] < plan.classes.size() ? plan.classes[order[i]] : fmt::format("class {}", order[i]),
                            100 * a.probabilities[order[i]]);
      if (!rest.empty()) line += " (" + rest + ")";
    }
    if (a.truth >= 0) line += a.truth == a.label ? ", as labelled" : fmt::format(", labelled {}", a.truth);
    if (a.verified >= 0) line += a.verified == 1 ? ", equal to the twin" : ", NOT equal to the twin";
    out.text(line);
  }
}

}  // namespace eqo::cli
