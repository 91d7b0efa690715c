// SPDX-License-Identifier: Apache-2.0
// HmacSha256: HMAC-SHA-256 (RFC 2104) under one key, for key derivation and derived nonces.
#pragma once

#include <initializer_list>
#include <memory>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

struct evp_mac_ctx_st;

namespace kms {

// Keyed once; OpenSSL wipes the key when this object goes. Thread rule: like a plain value.
class HmacSha256 {
 public:
  // `key` has one byte at least. Errors: kInternal.
  static Result<HmacSha256> Create(ByteView key);

  // Writes the MAC of the parts' concatenation to `out` (kSha256Bytes). Errors: kInternal.
  Status Compute(std::initializer_list<ByteView> parts, MutableByteView out);

 private:
  struct Free {
    void operator()(evp_mac_ctx_st* context) const;
  };
  using Context = std::unique_ptr<evp_mac_ctx_st, Free>;

  explicit HmacSha256(Context context) : context_(std::move(context)) {}
  static const evp_mac_ctx_st* Template();

  Context context_;
};

}  // namespace kms
