#include "eqo/quantizer/plan_check.h"

#include "eqo/model/types.h"

namespace eqo::quant {

void check_plan(const Model& model) { validate(model); }

}  // namespace eqo::quant
