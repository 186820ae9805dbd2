#pragma once
#include "eqo/planner/run_report.h"

namespace eqo {

// Fills the report's seconds, setup and online: what the link needs for the planned bytes and flights, plus what the
// kernels need. Kernel speeds are measured on this machine when called (well under a second), as if the other party's
// were the same; both parties on one machine share its cores, which is not modelled. An estimate, unlike bytes and
// flights.
void estimate_seconds(RunReport& report, const PublicPlan& plan, const ExecOptions& options, std::uint64_t batch,
                      const Link& link);

}  // namespace eqo
