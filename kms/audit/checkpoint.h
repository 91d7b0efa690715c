// SPDX-License-Identifier: Apache-2.0
// Checkpoints: records in which a key that never leaves the HSM signs where the chain has come to,
// so that a log rebuilt by whoever owns the host does not verify.
//
// The record, after seq and prev:
//   "time":"<T>","type":"checkpoint","checkpoint":{"seq":<N>,"hash":"<hex>",
//   "public_key":"<base64 of SubjectPublicKeyInfo>","signature":"<base64 of DER ECDSA>"}
// Signed are the bytes "kms audit checkpoint v1\n<N>\n<hex>\n<T>\n" (ECDSA P-256 with SHA-256).
// Where it also says how the store was, "epoch":<E>,"store_revision":<R>,"store_digest":"<D>" stand
// before the public key, and signed are
//   "kms audit checkpoint v2\n<N>\n<hex>\n<T>\n<E>\n<R>\n<D>\n".
// <N> and <hex> name an earlier record and its digest; that digest binds the log's random id.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kms/audit/audit_log.h"
#include "kms/audit/chain.h"
#include "kms/base/bytes.h"
#include "kms/base/clock.h"
#include "kms/base/result.h"

namespace kms {

struct CheckpointSigner {
  std::function<Result<Bytes>(ByteView message)> sign;  // returns DER
  Bytes public_key;                                     // SubjectPublicKeyInfo, DER
};

// How the store was when a checkpoint was signed.
struct StoreStatement {
  std::uint64_t epoch = 0;     // what the HSM tokens were raised to
  std::uint64_t revision = 0;  // of the store
  std::string digest;          // over its entries at that revision, as hexadecimal digits; may be empty
  friend bool operator==(const StoreStatement&, const StoreStatement&) = default;
};

// The bytes that are signed for `head` at `time` (as the record spells it).
std::string CheckpointMessage(const AuditHead& head, std::string_view time,
                              const std::optional<StoreStatement>& store = {});

// Signs `head` (of the log's committed records, seq >= 1) and appends the checkpoint; returns when
// it is committed. Errors: the signer's; kUnavailable when the record cannot be written in time.
Status WriteCheckpoint(AuditLog& log, const AuditHead& head, const CheckpointSigner& signer,
                       WallTime now, Deadline deadline,
                       const std::optional<StoreStatement>& store = {});

// Whether `signature` is that of `public_key` over `message`; false for anything malformed.
bool VerifyCheckpointSignature(ByteView public_key, ByteView signature, std::string_view message);

}  // namespace kms
