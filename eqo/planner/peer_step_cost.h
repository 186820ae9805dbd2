#pragma once
#include "eqo/model/graph.h"
#include "eqo/net/cost_meter.h"
#include "eqo/planner/framework.h"

namespace eqo {

// The sends and COTs of runtime/peer_steps.h. Throws model_error for a step that the peers have no protocol for.
void peer_session_cost(CostMeter& meter, Framework framework);  // once a session: KKOT's base OTs, garbling's colors
void peer_step_cost(CostMeter& meter, const PublicPlan& plan, const Node& node, Framework framework,
                    std::uint64_t batch);
// What the step's protocol holds besides its inputs and output, from above.
std::uint64_t peer_step_memory(const PublicPlan& plan, const Node& node, Framework framework, std::uint64_t batch);

}  // namespace eqo
