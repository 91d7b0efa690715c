// SPDX-License-Identifier: Apache-2.0
// HsmRandomness: the HSM's generator mixed with the kernel's, never alone, and watched for
// repetition: a broken generator must be noticed although the mixture stays good.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>

#include "kms/base/bytes.h"
#include "kms/base/clock.h"
#include "kms/base/digest.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/master_key_device.h"

namespace kms {

// Thread rule: any thread; a call blocks for HSM calls up to the timeout.
class HsmRandomness {
 public:
  // As MasterKeyDevice::Random, of whichever token answers.
  using Generator = std::function<Result<SecretBytes>(std::size_t size, Deadline deadline)>;

  // `clock` and what `generator` uses must outlive it.
  HsmRandomness(Generator generator, const Clock& clock, std::chrono::milliseconds timeout)
      : generator_(std::move(generator)), clock_(clock), timeout_(timeout) {}
  // `device` and `clock` must outlive it.
  HsmRandomness(MasterKeyDevice& device, const Clock& clock, std::chrono::milliseconds timeout)
      : HsmRandomness([&device](std::size_t size,
                                Deadline deadline) { return device.Random(size, deadline); },
                      clock, timeout) {}

  // Fills `out` with the exclusive or of both generators; on an error with zeros.
  // Errors: those of the device; kFailedPrecondition when the HSM's output is constant or repeats
  // something recent.
  Status Fill(MutableByteView out);

 private:
  static constexpr std::size_t kBlockBytes = 32;
  static constexpr std::size_t kRememberedBlocks = 128;

  Status Mix(MutableByteView out, Deadline deadline);
  // Looks at whole blocks. Two good blocks agree once in 2^256.
  Status CheckAndRemember(ByteView output);
  bool IsRepeated(const Sha256Digest& digest) KMS_REQUIRES(mutex_);

  const Generator generator_;
  const Clock& clock_;
  const std::chrono::milliseconds timeout_;

  Mutex mutex_;
  // Digests of the HSM's latest blocks, of all callers; the oldest is replaced next.
  std::array<Sha256Digest, kRememberedBlocks> recent_ KMS_GUARDED_BY(mutex_){};
  std::size_t next_ KMS_GUARDED_BY(mutex_) = 0;
};

}  // namespace kms
