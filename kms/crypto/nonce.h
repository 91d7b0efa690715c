// SPDX-License-Identifier: Apache-2.0
// Hedged nonces: the first bytes of HMAC-SHA-256(secret, random || counter || SHA-256(length of the
// associated data || associated data || message)). A cloned or rewound machine repeats one only for
// an identical message (design.md 3; failures C1).
#pragma once

#include <cstdint>
#include <memory>

#include "kms/base/bytes.h"

namespace kms {

// Fills `nonce` (1..32 bytes). Any thread; no lock. The secret belongs to one thread of one
// process: it comes from the kernel at a thread's first nonce and again after a fork (C2).
void FillHedgedNonce(MutableByteView nonce, ByteView message, ByteView associated_data);

// One secret and its counter. The service uses it through FillHedgedNonce only; its own interface
// lets tests repeat the randomness that a clone would repeat. Thread rule: one thread.
class NonceHedge {
 public:
  using RandomSource = void (*)(MutableByteView out);

  // Takes the secret from `random`, for each nonce 32 bytes more, and in a forked child, which has
  // a copy of its parent's secret, another secret before its first nonce.
  explicit NonceHedge(RandomSource random);
  NonceHedge(NonceHedge&&) noexcept;
  NonceHedge& operator=(NonceHedge&&) noexcept;
  ~NonceHedge();

  void Fill(MutableByteView nonce, ByteView message, ByteView associated_data);

 private:
  struct KeyedMac;
  void TakeSecret(std::uint64_t generation);

  RandomSource random_;
  std::unique_ptr<KeyedMac> mac_;
  std::uint64_t generation_ = 0;
  std::uint64_t counter_ = 0;
};

}  // namespace kms
