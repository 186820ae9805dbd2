#include "eqo/quantizer/budget_search.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <utility>

#include "eqo/core/error.h"
#include "eqo/quantizer/logit_check.h"
#include "eqo/quantizer/option_table.h"

namespace eqo::quant {
namespace {

constexpr unsigned kDraftRounds = 4;  // to get the costs nearly right before anything is made
constexpr unsigned kFitRounds = 5;    // to find an answer within the budget
constexpr unsigned kNeighbourRounds = 2;
constexpr double kTighter = 0.004;  // of the budget, where an answer above it comes back
// Large errors switch units on that had no gradient: they do more than second order says.
constexpr double kConvex = 1.5;
constexpr double kOtherTrust[] = {4, 0.25};         // of activations against weights
constexpr double kFreeShares[] = {0.1, 0.2, 0.35};  // of the layers, for a neighbour
constexpr double kChange = 0.6;                     // the deviation of their sensitivities' logarithms
constexpr unsigned kDraws = 30;                     // until a neighbour is new

class Search {
 public:
  Search(CalibratedNet& net, const FloatBatch& check, const QuantizeOptions& options)
      : net_(net),
        options_(options),
        budget_(*options.budget),
        check_(net.graph(), check, net.pool()),
        check_images_(check.count),
        random_(options.seed),
        table_(net, options) {}

  Model run(QuantizeReport& report) {
    const auto start = std::chrono::steady_clock::now();
    limit_ = budget_.amount;
    if (budget_.unit == Budget::Unit::kRatio) limit_ *= cost_of(net_.quantize(eight_bits())).total;
    if (table_.solve(limit_, table_.trusting()) == table_.best()) propose("as measured", table_.trusting());
    if (!best_ || best_->choice != table_.best()) {
      propose_uniform();
      propose("as measured", table_.trusting());
      propose_tempered();
      improve();
    }
    if (!best_) make("the cheapest", table_.cheapest());
    if (!best_)
      throw usage_error(
          fmt::format("the budget is {}, and the cheapest choice of widths costs {}", text(limit_), text(last_cost_)),
          "raise --budget, or ask for fewer fixed widths");
    if (options_.tuner) {
      // Its rings, and so what it costs, may come out a little differently.
      best_->model = net_.tune(table_.with(best_->choice), &best_->report);
      best_->cost = cost_of(best_->model);
    }
    report = std::move(best_->report);
    report.budget = explain();
    report.budget->search_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(best_->model);
  }

 private:
  // Within the budget, and the least first: what overflows, what leaves some of the budget, the rest by divergence.
  using Rank = std::tuple<bool, bool, double>;
  struct Candidate {
    Choice choice;
    std::size_t index = 0;  // of all that were made
    Rank rank;
    Model model;
    QuantizeReport report;
    SessionCost cost;
  };

  SessionCost cost_of(const Model& model) const { return session_cost(model, budget_, options_.products); }

  std::string text(double cost) const {
    return budget_.unit == Budget::Unit::kSeconds ? fmt::format("{:.3f} s", cost)
                                                  : fmt::format("{:.3f} MB", cost / 1e6);
  }

  QuantizeOptions eight_bits() const {
    QuantizeOptions o = options_;
    o.weights_bits = o.activation_bits = o.edge_bits = 8;
    return o;
  }

  bool more() const { return made_.size() < std::max(1U, options_.search_networks); }

  // Quantizes a choice for good and gives what it costs.
  double make(const std::string& origin, const Choice& choice) {
    QuantizeReport report;
    Model model = net_.quantize(table_.with(choice), &report);
    SessionCost cost = cost_of(model);
    const double total = last_cost_ = made_[choice] = cost.total;
    if (drafted_.first != choice) draft_cost(choice);
    above_draft_ = total / drafted_.second;
    BudgetReport::Candidate candidate{origin, total, table_.sensitivity(choice), {}, {}};
    table_.correct(choice, cost);
    if (total <= limit_) {
      const LogitCheck::Result checked = check_(model);
      candidate.divergence = checked.divergence;
      candidate.agreement = checked.agreement;
      const Rank rank{checked.overflowed > 0, total < kUsed * limit_, checked.divergence};
      const std::pair nearness(checked.overflowed > 0, checked.divergence);
      if (!nearest_ || nearness < nearest_->first) nearest_ = {nearness, choice};
      if (!best_ || rank < best_->rank)
        best_ = {choice, candidates_.size(), rank, std::move(model), std::move(report), std::move(cost)};
    }
    candidates_.push_back(std::move(candidate));
    return total;
  }

  // Of a draft, raised by what the last network that was made cost above its draft: largest values of few images are
  // smaller, and so are rings.
  double draft_cost(const Choice& choice) {
    SessionCost cost = cost_of(net_.draft(table_.with(choice), table_.draft_images()));
    drafted_ = {choice, cost.total};
    for (auto& [layer, part] : cost.layers) part *= above_draft_;
    cost.total *= above_draft_;
    table_.correct(choice, cost);
    return cost.total;
  }

  // The program's answer: the first one that really is within the budget and uses it up.
  void propose(const std::string& origin, const Tempering& tempering, unsigned rounds = kFitRounds) {
    double aim = limit_;
    for (unsigned round = 0; round < rounds && more(); ++round) {
      std::optional<Choice> choice;
      for (unsigned draft = 0; draft < kDraftRounds; ++draft) {
        const std::optional<Choice> next = table_.solve(aim, tempering);
        if (!next && !choice) return;
        if (!next || choice == next) break;
        choice = next;
        if (made_.count(*choice) > 0) break;
        const double total = draft_cost(*choice);
        if (total <= aim && total >= kUsed * aim) break;
      }
      const auto found = made_.find(*choice);
      const double total = found == made_.end() ? make(origin, *choice) : found->second;
      if (total <= limit_ && (found != made_.end() || total >= kUsed * limit_)) return;
      if (found != made_.end()) aim -= kTighter * limit_;
    }
  }

  // All uniform networks that fit and that no other one is as wide as in both.
  void propose_uniform() {
    constexpr double kNearly = 1.08;  // what may turn out cheaper than expected
    unsigned above = 0;               // of activations, with which wider weights fit
    for (auto b = table_.weights_bits().rbegin(); b != table_.weights_bits().rend(); ++b)
      for (auto a = table_.activation_bits().rbegin(); a != table_.activation_bits().rend() && *a > above; ++a) {
        const Choice choice = table_.uniform(*b, *a, options_.edge_bits);
        if (!more() || table_.cost(choice) > kNearly * limit_) continue;
        Tempering tempering = table_.trusting();
        tempering.least_weights = *b;
        tempering.least_activations = *a;
        const auto found = made_.find(choice);
        const double total = found != made_.end() ? found->second : make(fmt::format("uniform W{}A{}", *b, *a), choice);
        if (total > limit_) continue;
        above = *a;
        propose(fmt::format("no layer below W{}A{}", *b, *a), tempering);
      }
  }

  void propose_tempered() {
    Tempering convex = table_.trusting();
    convex.power = kConvex;
    propose("large sensitivities count more", convex);
    for (const double trust : kOtherTrust) {
      Tempering tempering = table_.trusting();
      for (double& a : tempering.activations) a *= trust;
      propose(fmt::format("activations count {} times", trust), tempering);
    }
  }

  // The nearest one's options stay but for some layers, whose sensitivities are changed at random. If it leaves some of
  // the budget, they get the rest.
  void improve() {
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    for (std::size_t turn = 0; best_ && more() && turn < std::size_t{2} * options_.search_networks; ++turn) {
      const double free = kFreeShares[turn % std::size(kFreeShares)];
      std::optional<Tempering> changed;
      for (unsigned draw = 0; draw < kDraws && !changed; ++draw) {
        Tempering t = table_.trusting();
        if (uniform(random_) < 0.5) t.power = kConvex;
        for (std::vector<double>* factors : {&t.weights, &t.activations})
          for (double& f : *factors) f = std::exp(kChange * normal(random_));
        for (const std::size_t option : nearest_->second)
          t.kept.push_back(uniform(random_) < free ? std::nullopt : std::optional(option));
        const std::optional<Choice> choice = table_.solve(limit_, t);
        if (choice && made_.count(*choice) == 0) changed = std::move(t);
      }
      if (!changed) return;
      propose("a neighbour of the best", *changed, kNeighbourRounds);
    }
  }

  BudgetReport explain() const {
    BudgetReport out;
    out.seconds = budget_.unit == Budget::Unit::kSeconds;
    out.budget = limit_;
    out.spent = best_->cost.total;
    out.measure = options_.sensitivity;
    out.sensitivity = table_.sensitivity(best_->choice);
    out.divergence = std::get<double>(best_->rank);
    out.check_images = check_images_;
    out.candidates = candidates_;
    out.winner = best_->index;
    out.setup_bytes = best_->cost.setup_bytes;
    out.online_bytes = best_->cost.online_bytes;
    out.flights = best_->cost.flights;
    for (std::size_t l = 0; l < table_.layers().size(); ++l) {
      const std::vector<OptionTable::Option>& options = table_.layers()[l].options;
      BudgetReport::Layer layer{table_.layers()[l].name, options[best_->choice[l]], {}, {}, {}};
      std::vector<WidthOption> costs;
      for (const OptionTable::Option& o : options) {
        costs.push_back({o.cost, o.sensitivity});
        layer.options.push_back(o);
      }
      for (const std::size_t i : efficient_options(costs)) {
        if (options[i].cost < layer.chosen.cost) layer.cheaper = options[i];
        if (options[i].cost > layer.chosen.cost && !layer.dearer) layer.dearer = options[i];
      }
      const auto found = best_->cost.layers.find(layer.name);
      if (found != best_->cost.layers.end() && layer.chosen.cost > 0) {
        const double factor = found->second / layer.chosen.cost;
        for (std::optional<BudgetReport::Option>* o : {&layer.cheaper, &layer.dearer})
          if (*o) (*o)->cost *= factor;
        layer.chosen.cost = found->second;
      }
      out.layers.push_back(std::move(layer));
    }
    return out;
  }

  CalibratedNet& net_;
  const QuantizeOptions& options_;
  const Budget& budget_;
  LogitCheck check_;
  std::size_t check_images_;
  std::mt19937_64 random_;
  OptionTable table_;
  double limit_ = 0, last_cost_ = 0;
  std::pair<Choice, double> drafted_;  // the last draft
  double above_draft_ = 1;
  std::map<Choice, double> made_;  // and what it costs
  std::vector<BudgetReport::Candidate> candidates_;
  std::optional<Candidate> best_;
  std::optional<std::pair<std::pair<bool, double>, Choice>> nearest_;  // of those within the budget, used up or not
};

}  // namespace

Model quantize_within_budget(CalibratedNet& net, const FloatBatch& check, const QuantizeOptions& options,
                             QuantizeReport& report) {
  return Search(net, check, options).run(report);
}

}  // namespace eqo::quant
