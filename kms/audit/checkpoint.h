// SPDX-License-Identifier: Apache-2.0
// Checkpoints: records in which a key that never leaves the HSM signs where the chain has come to,
// so that a log rebuilt by whoever owns the host does not verify.
//
// The record, after seq and prev:
//   "time":"<T>","type":"checkpoint","checkpoint":{"seq":<N>,"hash":"<hex>",
//   "public_key":"<base64 of SubjectPublicKeyInfo>","signature":"<base64 of DER ECDSA>"}
// Signed are the bytes "kms audit checkpoint v1\n<N>\n<hex>\n<T>\n" (ECDSA P-256 with SHA-256).
// <N> and <hex> name an earlier record and its digest; that digest binds the log's random id.
#pragma once

#include <functional>
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

// The bytes that are signed for `head` at `time` (as the record spells it).
std::string CheckpointMessage(const AuditHead& head, std::string_view time);

// Signs `head` (of the log's committed records, seq >= 1) and appends the checkpoint; returns when
// it is committed. Errors: the signer's; kUnavailable when the record cannot be written in time.
Status WriteCheckpoint(AuditLog& log, const AuditHead& head, const CheckpointSigner& signer,
                       WallTime now, Deadline deadline);

// Whether `signature` is that of `public_key` over `message`; false for anything malformed.
bool VerifyCheckpointSignature(ByteView public_key, ByteView signature, std::string_view message);

}  // namespace kms
