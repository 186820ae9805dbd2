#pragma once
#include <cstdint>

#include "eqo/model/graph.h"
#include "eqo/protocols/he_options.h"

namespace eqo {

// The parameters of homomorphic products for sessions of up to `images` images: room for the results of all
// convolutions, and the modulus that makes a first image cheapest, keys included, if all layers that can be homomorphic
// are. Public and deterministic.
HeOptions choose_he(const PublicPlan& plan, std::uint64_t images);

// Images that a session with these options can answer; 2^32 if nothing is homomorphic.
std::uint64_t he_images(const PublicPlan& plan, const HeOptions& options);

}  // namespace eqo
