#pragma once
#include "eqo/peers/peer_context.h"
#include "eqo/protocols/and_round.h"

namespace eqo::peers {

// Beaver triples over bits, two from one 1-out-of-16 KKOT: the client's choice is its four operands, the server's
// message for each choice the two products, masked by its shares of them.
//   out  a, b uniform, ab = a & b, all XOR-shared; c and ac stay empty
// Source: Rathee et al., "CrypTFlow2", CCS 2020, appendix A1. Security: semi-honest, that of kkot.h. Constant time.
// Cost: 144 bits a triple, n rounded up to even: 2 flights, from the client first. They need no input, so that the
// client can request them together with other KKOTs.
class TripleReceiver {
 public:
  TripleReceiver(PeerContext& ctx, std::size_t n);  // client
  AndTriples finish();

 private:
  AndTriples triples_;
  std::size_t n_;
  KkotReceiver receiver_;
};
AndTriples transfer_triples(PeerContext& ctx, std::size_t n);  // server
void triples_request_cost(CostMeter& meter, std::uint64_t n);
void triples_reply_cost(CostMeter& meter, std::uint64_t n);

// F_AND of XOR-shared bits, by one triple each. Cost: 148 bits an AND, 3 flights.
Bits bit_and(PeerContext& ctx, std::span<const std::uint8_t> x, std::span<const std::uint8_t> y);
void bit_and_cost(CostMeter& meter, std::uint64_t n);

}  // namespace eqo::peers
