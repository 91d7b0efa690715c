// SPDX-License-Identifier: Apache-2.0
// Random bytes for callers (transit-api 6.13).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/hsm_randomness.h"

namespace kms {

enum class RandomSource : std::uint8_t {
  kPlatform,  // the kernel's generator
  kSeal,      // the HSM's, mixed with the kernel's: neither is ever trusted alone
  kAll,       // the same
};

// "platform", "seal" or "all"; nullopt for everything else.
std::optional<RandomSource> FindRandomSource(std::string_view name);

struct RandomRequest {
  std::int64_t bytes = 32;  // 1..131072
  RandomSource source = RandomSource::kPlatform;
};

// Errors: kInvalidArgument "'bytes' cannot be less than 1" and "'bytes' should be less than
// 131072"; those of HsmRandomness unless the source is the platform. Any thread.
Status CheckRandomBytes(std::int64_t bytes);
Status GenerateRandom(HsmRandomness& hsm, const RandomRequest& request, PlaintextBuffer& random);

}  // namespace kms
