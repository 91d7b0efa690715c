// SPDX-License-Identifier: Apache-2.0
#include "kms/master/hsm_randomness.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "kms/base/random.h"

namespace kms {

namespace {

constexpr std::size_t kMaxBytesPerCall = 4096;  // MasterKeyDevice::Random
// Whatever the caller wants: two blocks to compare with each other and with those before.
constexpr std::size_t kMinBytesPerCall = 64;

Error BrokenGenerator(std::string detail) {
  return FailedPrecondition("the HSM's random generator failed its repetition test",
                            std::move(detail));
}

bool IsConstant(ByteView block) {
  return std::ranges::all_of(block, [first = block.front()](auto byte) { return byte == first; });
}

}  // namespace

Status HsmRandomness::Fill(MutableByteView out) {
  FillRandom(out);
  const Deadline deadline = clock_.SteadyNow() + timeout_;
  for (MutableByteView rest = out; !rest.empty();) {
    const MutableByteView part = rest.first(std::min(rest.size(), kMaxBytesPerCall));
    if (Status mixed = Mix(part, deadline); !mixed.has_value()) {
      OPENSSL_cleanse(out.data(), out.size());
      return mixed;
    }
    rest = rest.subspan(part.size());
  }
  return Ok();
}

Status HsmRandomness::Mix(MutableByteView out, Deadline deadline) {
  const std::size_t size = std::max(out.size(), kMinBytesPerCall);
  const SecretBytes output = KMS_TRY(generator_(size, deadline));
  if (output.size() != size) {
    return BrokenGenerator("it gave fewer bytes than it was asked for");
  }
  KMS_TRY(CheckAndRemember(output.View()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] ^= output.View()[i];
  }
  return Ok();
}

Status HsmRandomness::CheckAndRemember(ByteView output) {
  const ScopedLock lock(mutex_);
  bool repeated = false;
  for (; output.size() >= kBlockBytes; output = output.subspan(kBlockBytes)) {
    const ByteView block = output.first(kBlockBytes);
    if (IsConstant(block)) {
      return BrokenGenerator("a block of 32 bytes is one byte repeated");
    }
    // Every block is remembered, so that a repeating generator stays refused.
    repeated = IsRepeated(Sha256(block)) || repeated;
  }
  return repeated ? BrokenGenerator("a block of 32 bytes came before") : Ok();
}

bool HsmRandomness::IsRepeated(const Sha256Digest& digest) {
  const bool repeated = std::ranges::find(recent_, digest) != recent_.end();
  recent_[next_] = digest;
  next_ = (next_ + 1) % kRememberedBlocks;
  return repeated;
}

}  // namespace kms
