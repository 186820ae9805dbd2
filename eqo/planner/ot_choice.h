#pragma once
#include <optional>

#include "eqo/model/graph.h"
#include "eqo/net/link_clock.h"
#include "eqo/planner/exec_options.h"

namespace eqo {

// The OT extension for a first image, setup included, and the parameter sets of the silent one: what is over first on
// the link, its bytes at the link's rate and the COTs at the speeds below. Deterministic, so that a plan made ahead is
// the plan of the run. Without a link: silent, and sets as for 100 Mbit/s. `kind`, if given, is taken as it is.
OtOptions choose_ot(const PublicPlan& plan, const ExecOptions& exec, const std::optional<LinkSpec>& link,
                    std::optional<OtKind> kind);

// Seconds a COT, both parties sharing two cores: docs/performance.md, OT extension.
inline constexpr double kSilentCotSeconds = 40e-9, kSoftSpokenCotSeconds = 14e-9;

}  // namespace eqo
