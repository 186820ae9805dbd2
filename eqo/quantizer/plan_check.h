#pragma once
#include "eqo/model/graph.h"

namespace eqo::quant {

// validate() of eqo/model/types.h, which has names in common with the importer's headers and is kept apart from them.
void check_plan(const Model& model);

}  // namespace eqo::quant
