// SPDX-License-Identifier: Apache-2.0
// RecoveryRecipients: the offline holders among whom an environment's keys are split, so that enough
// of them open it without any HSM.
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
#include "kms/store/store.h"

namespace kms {

struct RecoveryRecipient {
  std::string name;  // for people; distinct
  Bytes public_key;  // SubjectPublicKeyInfo DER: RSA of 3072 bits or more, or X25519
  friend bool operator==(const RecoveryRecipient&, const RecoveryRecipient&) = default;
};

struct RecoveryRecipients {
  std::uint8_t threshold = 0;  // how many open, 2..recipients (1 of 1 is allowed)
  std::vector<RecoveryRecipient> recipients;  // 1..32

  // Errors: kInvalidArgument naming what is wrong.
  [[nodiscard]] Status Check() const;
  [[nodiscard]] Bytes Encode() const;
  static Result<RecoveryRecipients> Decode(ByteView encoded);  // kCorrupted
  friend bool operator==(const RecoveryRecipients&, const RecoveryRecipients&) = default;
};

// "recovery/<environment id>/recipients" and, per key version, "recovery/<environment id>/<version>".
std::string RecoveryPrefix(const Uuid& environment_id);

// What stores the recipients of an environment; to be committed together with its first key.
Mutation StoreRecipients(const Uuid& environment_id, const RecoveryRecipients& recipients);

// What stores `key` split among `recipients`, each share encrypted to its holder.
// Errors: kInvalidArgument for recipients that do not pass Check.
Result<Mutation> SplitForRecovery(const Uuid& environment_id, EnvironmentKeyVersion version,
                                  const SecretBytes& key, const RecoveryRecipients& recipients);

// nullopt for an environment without recipients. Errors: kCorrupted, store errors.
Result<std::optional<RecoveryRecipients>> ReadRecipients(Store& store, const Uuid& environment_id);

}  // namespace kms
