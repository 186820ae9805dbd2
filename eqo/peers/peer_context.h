#pragma once
#include "eqo/ot/kkot.h"

// The building blocks of the systems that EQO is compared with, on EQO's own OTs, channel and kernels. They run; no
// plan of EQO's own uses them.
namespace eqo::peers {

// What their protocols may use: IKNP is the pool (SoftSpoken with k = 1), and KKOT, of which the server is the sender.
struct PeerContext : Context {
  Kkot& kkot;
};

}  // namespace eqo::peers
