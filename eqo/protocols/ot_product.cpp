#include "eqo/protocols/ot_product.h"

#include "eqo/core/bits.h"
#include "eqo/core/error.h"
#include "eqo/protocols/ot_product_base.h"

namespace eqo {

void OtProduct::begin_setup() {
  if (ready_) throw internal_error("matrix product: setup ran twice");
  ready_ = true;
  keys_ = Blocks(ot_product_keys(spec_));
}

void OtProduct::begin_online(std::uint64_t counter, std::uint64_t batch, std::size_t values) {
  if (!ready_) throw internal_error("matrix product: online before setup");
  if (counter < next_counter_) throw internal_error("matrix product: a counter must never be used again");
  if (counter >= std::uint64_t{1} << kCounterBits) throw internal_error("matrix product: the counter is exhausted");
  const ProductShape& s = spec_.shape;
  if (values != s.count * s.inner * s.cols * batch)
    throw internal_error("matrix product: the columns do not fit the shape");
  next_counter_ = counter + 1;
}

std::uint64_t ot_product_keys(const ProductSpec& spec) {
  const ProductShape& s = spec.shape;
  std::uint64_t keys = 0;
  for (const WeightCode& f : spec.formats)
    for (unsigned i = 0; i < f.bits(); ++i)
      if (f.place(i) < s.ring.bits()) keys += s.count / spec.formats.size() * s.rows * s.inner;
  return keys;
}

void ot_product_setup_cost(CostMeter& meter, const ProductSpec& spec) {
  const std::uint64_t keys = ot_product_keys(spec);
  for (std::uint64_t done = 0; done < keys; done += kSetupChunk) {
    const std::uint64_t n = std::min(kSetupChunk, keys - done);
    meter.cots(Party::kClient, n);
    meter.send(Party::kServer, packed_bytes(n, 1));
  }
}

void ot_product_online_cost(CostMeter& meter, const ProductSpec& spec, std::uint64_t batch) {
  const std::uint64_t bytes = packed_bytes(RowPlan(spec, batch).total_bits(), 1);
  for (std::uint64_t done = 0; done < bytes; done += kRowMessageBytes)
    meter.send(Party::kClient, std::min(kRowMessageBytes, bytes - done));
}

}  // namespace eqo
