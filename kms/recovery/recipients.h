// SPDX-License-Identifier: Apache-2.0
// RecoveryRecipients: the offline holders among whom an environment's keys are split, so that
// enough of them open it without any HSM.
//
// Who they are is sealed in `sys`: whoever writes into the store must not be able to add a holder
// and wait for the next key to be split for him too. The shares stand outside any sealed store,
// since they are what opens one when no HSM does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/environment_key.h"
#include "kms/master/sealed_store.h"
#include "kms/store/store.h"

namespace kms {

inline constexpr std::size_t kMaxRecoveryRecipients = 32;

struct RecoveryRecipient {
  std::string name;  // for people; distinct; 1..64 of letters, digits and "._@-"
  Bytes public_key;  // SubjectPublicKeyInfo DER: RSA of 3072 or 4096 bits, or X25519
  friend bool operator==(const RecoveryRecipient&, const RecoveryRecipient&) = default;
};

struct RecoveryRecipients {
  std::uint8_t threshold = 0;                 // how many open, 2..recipients (1 of 1 is allowed)
  std::vector<RecoveryRecipient> recipients;  // 1..32

  // Errors: kInvalidArgument naming what is wrong.
  [[nodiscard]] Status Check() const;
  [[nodiscard]] Bytes Encode() const;
  static Result<RecoveryRecipients> Decode(ByteView encoded);  // kCorrupted
  friend bool operator==(const RecoveryRecipients&, const RecoveryRecipients&) = default;
};

// What is known of an environment's recovery.
struct RecoveryStatus {
  std::optional<RecoveryRecipients> recipients;
  std::vector<EnvironmentKeyVersion> versions;        // of its key
  std::vector<EnvironmentKeyVersion> split_versions;  // of these: for which shares are stored
};

// What is split: one key of one environment. Each share is bound to all of it.
struct RecoverySubject {
  Uuid environment_id;
  std::string environment;  // its name
  EnvironmentKeyVersion version = 0;
};

// Shares, unsealed: "recovery/<environment id>/<version>", the version with 10 digits.
std::string RecoveryPrefix(const Uuid& environment_id);
std::string RecoveryPath(const Uuid& environment_id, EnvironmentKeyVersion version);

// Recipients, sealed in `sys`: "recovery/<environment id>".
std::string RecipientsPath(const Uuid& environment_id);

// What stores the recipients, to be sealed by `sys`; together with the shares of the environment's
// keys in one commit. Errors: kUnavailable (secret memory).
Result<SealedMutation> StoreRecipients(const Uuid& environment_id,
                                       const RecoveryRecipients& recipients);

// What stores `key` split among `recipients`, each share encrypted to its holder. Every call draws
// a fresh polynomial: shares of two calls do not help each other. Errors: kInvalidArgument for
// recipients that do not pass Check and for a key that is not one of an environment; kUnavailable,
// kInternal.
Result<Mutation> SplitForRecovery(const RecoverySubject& subject, const SecretBytes& key,
                                  const RecoveryRecipients& recipients);

// nullopt for an environment without recipients. `sys` is the sealed store of `sys`.
// Errors: kCorrupted, kUnavailable while `sys` is sealed, store errors.
Result<std::optional<RecoveryRecipients>> ReadRecipients(SealedStore& sys,
                                                         const Uuid& environment_id);

}  // namespace kms
