// The training plug-in: the only part of the product that is linked with libtorch. `eqo train`, `eqo quantize
// --finetune` and --sensitivity hessian load it at run time, so that a server or a client neither needs libtorch nor
// pays its start-up time and memory.
#include "eqo/cli/train_plugin.h"

extern "C" void eqo_train_plugin(eqo::cli::TrainCall* call) {
  eqo::TrainOptions options = *call->options;
  options.bfloat16 = options.bfloat16 && eqo::processor_has_bfloat16();
  call->result = eqo::train(*call->graph, *call->train, call->test, options, *call->report);
}

extern "C" void eqo_fine_tune_plugin(eqo::cli::FineTuneCall* call) {
  call->result = eqo::fine_tune(*call->problem, *call->preprocess, *call->train, call->test, *call->options,
                                *call->check, *call->report);
}

extern "C" void eqo_hessian_plugin(eqo::cli::HessianCall* call) {
  call->result = eqo::hessian_traces(*call->graph, call->images, call->count, *call->options);
}
