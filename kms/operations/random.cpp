// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/random.h"

#include "kms/base/random.h"

namespace kms {

namespace {

constexpr std::int64_t kMaxBytes = 131'072;

}  // namespace

std::optional<RandomSource> FindRandomSource(std::string_view name) {
  if (name == "platform") {
    return RandomSource::kPlatform;
  }
  if (name == "seal") {
    return RandomSource::kSeal;
  }
  return name == "all" ? std::optional(RandomSource::kAll) : std::nullopt;
}

Status CheckRandomBytes(std::int64_t bytes) {
  if (bytes < 1) {
    return InvalidArgument("'bytes' cannot be less than 1");
  }
  return bytes > kMaxBytes ? InvalidArgument("'bytes' should be less than 131072") : Ok();
}

Status GenerateRandom(HsmRandomness& hsm, const RandomRequest& request, PlaintextBuffer& random) {
  random.Wipe();
  KMS_TRY(CheckRandomBytes(request.bytes));
  const MutableByteView out = random.Reset(static_cast<std::size_t>(request.bytes));
  if (request.source == RandomSource::kPlatform) {
    FillRandom(out);
    return Ok();
  }
  Status filled = hsm.Fill(out);
  if (!filled.has_value()) {
    random.Wipe();
  }
  return filled;
}

}  // namespace kms
