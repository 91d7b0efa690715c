// SPDX-License-Identifier: Apache-2.0
// DestructionStatement: what says, signed by an HSM's audit key, that a master key was destroyed.
// Sealed in `sys` at "statements/<task id>"; a frozen sample lives in the tests.
//
// The text is one JSON object on one line, its members in this order:
//   {"statement":"kms master key destruction v1","id":…,"environment":…,"environment_id":…,
//    "master_key_version":N,"objects":[{"hsm":…,"token_label":…,"token_serial":…,"cka_id":…,
//    "cka_label":…,"made":…},…],"asked_by":…,"destroyed":…,"audit_head":…}
// Where a token with the key was declared lost, the statement is "kms master key destruction v2" and
// after "objects" comes what could not be destroyed:
//    "not_destroyed":[{…the same members…,"declared_lost":…,"declared_by":…,"reason":…},…]
// The signature is ECDSA P-256 over SHA-256 of exactly these bytes, DER form: openssl verifies it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/master/key_group.h"
#include "kms/master/sealed_store.h"

namespace kms {

// One key object, as it was recorded when it was made.
struct DestroyedObject {
  std::string hsm;
  std::string token_label;
  std::string token_serial;
  Uuid id;  // CKA_ID
  std::string label;
  std::int64_t made_unix_seconds = 0;
  friend bool operator==(const DestroyedObject&, const DestroyedObject&) = default;
};

// One that nobody can destroy, in a token that was declared lost.
struct LostObject {
  DestroyedObject object;
  std::int64_t declared_unix_seconds = 0;
  std::string declared_by;
  std::string reason;  // may be empty
  friend bool operator==(const LostObject&, const LostObject&) = default;
};

struct DestructionStatement {
  Uuid id;  // of the task
  std::string environment;
  Uuid environment_id;
  MasterKeyVersion version = 0;
  std::vector<DestroyedObject> objects;
  std::vector<LostObject> not_destroyed;
  std::string asked_by;
  // Empty until everything is destroyed.
  std::string text;
  Bytes signature;
  Bytes public_key;  // SubjectPublicKeyInfo, DER

  [[nodiscard]] bool complete() const { return !signature.empty(); }
  // The text as of `destroyed`, with the audit log's head in hexadecimal or nothing.
  [[nodiscard]] std::string Render(WallTime destroyed, std::string_view audit_head) const;

  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<DestructionStatement> Decode(ByteView encoded);
  friend bool operator==(const DestructionStatement&, const DestructionStatement&) = default;
};

// Errors of all: store errors; kCorrupted for a damaged one.
Status StoreStatement(SealedStore& sys, const DestructionStatement& statement);
Result<std::optional<DestructionStatement>> ReadStatement(SealedStore& sys, const Uuid& id);
// Those that are complete.
Result<std::vector<DestructionStatement>> ReadStatements(SealedStore& sys);

}  // namespace kms
