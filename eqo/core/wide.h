#pragma once

namespace eqo {

// 128-bit integers for exact sums and products of 64-bit values; every compiler this project supports has them.
__extension__ using Int128 = __int128;
__extension__ using UInt128 = unsigned __int128;

}  // namespace eqo
