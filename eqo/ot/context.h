#pragma once
#include "eqo/core/party.h"
#include "eqo/core/thread_pool.h"
#include "eqo/crypto/prg.h"
#include "eqo/net/channel.h"
#include "eqo/ot/ot_pool.h"

namespace eqo {

// Everything a protocol may use besides its inputs. Non-owning; one per party and session, one owner thread.
struct Context {
  Party party;
  Channel& channel;
  OtPool& ot;
  Prg& prg;
  ThreadPool& threads;
};

}  // namespace eqo
