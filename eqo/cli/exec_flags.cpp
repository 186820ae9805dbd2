#include "eqo/cli/exec_flags.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "eqo/model/model_io.h"
#include "eqo/planner/he_choice.h"
#include "eqo/planner/ot_choice.h"

namespace eqo::cli {
namespace {

std::optional<OtKind> forced_ot(const std::string& name) {
  if (name == "silent") return OtKind::kSilent;
  if (name == "softspoken") return OtKind::kSoftSpoken;
  return {};
}

std::vector<std::string> framework_names() {
  std::vector<std::string> names;
  for (const Framework f : kFrameworks) names.emplace_back(framework_name(f));
  return names;
}

}  // namespace

ProductOptions ProductFlags::options() const {
  return {kind == "he" ? Products::kHe : kind == "auto" ? Products::kAuto : Products::kOt, images};
}

void add_product_flags(CLI::App& cmd, ProductFlags& flags) {
  cmd.add_option("--products", flags.kind,
                 "Convolutions by OTs (ot), homomorphic encryption (he), or each by what is cheaper (auto): bytes, or "
                 "time on the link that is given")
      ->check(CLI::IsMember({"auto", "ot", "he"}))
      ->capture_default_str();
  cmd.add_option("--he-images", flags.images,
                 "Most images of a session with homomorphic products: more need more noise to hide the weights")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
}

void add_exec_flags(CLI::App& cmd, ExecFlags& flags) {
  cmd.add_option("--ot", flags.ot, "OT extension: silent (few bytes), softspoken (little computation), or auto")
      ->check(CLI::IsMember({"auto", "silent", "softspoken"}))
      ->capture_default_str();
  add_product_flags(cmd, flags.products);
  cmd.add_option("--softspoken-k", flags.options.ot.softspoken_k,
                 "SoftSpoken: 128/k bits an OT; larger is fewer bytes and more computation; 1 is IKNP")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  cmd.add_option("--tree-levels", flags.options.compare.levels,
                 "Levels of a comparison's tree: fewer are fewer flights and more bytes")
      ->check(CLI::Range(2, 8))
      ->capture_default_str();
  cmd.add_option("--prefetch", flags.options.prefetch, "Images whose correlated OTs the setup makes")
      ->check(CLI::Range(0, 255))
      ->capture_default_str();
  cmd.add_option("--optimize-for", flags.optimize_for,
                 "The link that protocols are chosen for: lan, wan, or BITS_PER_S,RTT (default: --network)");
  cmd.add_option("--disable-pass", flags.disabled,
                 "Leave a rewriting pass out; may be repeated (see 'eqo plan --passes')");
  cmd.add_option("--framework", flags.framework,
                 "Run the plan and the protocols of another system on this engine, to compare")
      ->check(CLI::IsMember(framework_names()))
      ->capture_default_str();
  cmd.add_option("--fixed-point-bits", flags.framework_options.fixed_point_bits,
                 "Ring of --framework cryptflow2 and copriv")
      ->check(CLI::Range(16, 64))
      ->capture_default_str();
  cmd.add_option("--drop-relu", flags.framework_options.drop_relus,
                 "--framework copriv: a layer whose ReLU is left out, or all; may be repeated");
  cmd.add_option("--reveal", flags.reveal, "What the client learns: logits, or the label alone")
      ->check(CLI::IsMember({"logits", "label"}))
      ->capture_default_str();
}

Offer load_offer(const std::string& path, const ExecFlags& flags, const std::optional<LinkSpec>& network,
                 const PassObserver& observer) {
  return prepare_offer(load_model(path), flags, network, observer);
}

Offer prepare_offer(Model model, const ExecFlags& flags, const std::optional<LinkSpec>& network,
                    const PassObserver& observer) {
  const std::optional<LinkSpec> link = flags.optimize_for.empty() ? network : parse_network(flags.optimize_for);
  const std::optional<OtKind> kind = forced_ot(flags.ot);
  ExecOptions exec = flags.options;
  exec.ot.kind = kind.value_or(OtKind::kSilent);
  exec.framework = parse_framework(flags.framework).value_or(Framework::kEqo);
  if (uses_iknp(exec.framework)) {
    exec.ot = {.kind = OtKind::kSoftSpoken, .softspoken_k = 1};
    exec.prefetch = 0;
  }
  const Digest digest = model_digest(model);
  ProductOptions products = flags.products.options();
  if (exec.framework != Framework::kEqo) {
    if (products.kind == Products::kHe) throw usage_error("--products he is EQO's own", "leave it or --framework out");
    products.kind = Products::kOt;
  }
  if (products.kind != Products::kOt) exec.he = choose_he(model.plan, products.images);
  FrameworkOptions framework = flags.framework_options;
  framework.framework = exec.framework;
  model = framework_model(std::move(model), framework);
  Offer offer = make_offer(std::move(model), digest, exec, flags.reveal == "label" ? Reveal::kLabel : Reveal::kLogits,
                           {{flags.disabled.begin(), flags.disabled.end()}, link, products.kind}, observer);
  if (!uses_iknp(exec.framework)) offer.exec.ot = choose_ot(offer.model.plan, offer.exec, link, kind);
  return offer;
}

void add_network_flag(CLI::App& cmd, std::string& text) {
  cmd.add_option("--network", text, "A simulated link: lan, wan, or BITS_PER_S,RTT such as 100M,20ms");
}

void add_prepare_flag(CLI::App& cmd, std::uint32_t& images, const std::string& help) {
  cmd.add_option("--prepare", images, help)->check(CLI::Range(0, 1024))->capture_default_str();
}

void add_seconds_flag(CLI::App& cmd, const std::string& name, double& seconds, double least, const std::string& help) {
  constexpr double kDay = 86400;
  cmd.add_option(name, seconds, help)
      ->check([least](const std::string& text) {
        double value = 0;
        const bool good = CLI::detail::lexical_cast(text, value) && value >= least && value <= kDay;  // false for nan
        return good ? std::string()
                    : text + " is not a number of seconds from " + CLI::detail::to_string(least) + " to a day";
      })
      ->capture_default_str();
}

std::optional<LinkSpec> parse_network(const std::string& text) {
  if (text.empty()) return {};
  return parse_link(text);
}

}  // namespace eqo::cli
