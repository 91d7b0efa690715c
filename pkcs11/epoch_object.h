// SPDX-License-Identifier: Apache-2.0
// Epochs in the token: numbers that only grow, as objects that are made and destroyed but never
// changed. A crash between the two leaves both, and the higher one counts.
#pragma once

#include <cstdint>
#include <optional>

#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "pkcs11/session.h"

namespace kms::pkcs11 {

// Some tokens keep no data objects; there the number is the label of a key that is never used.
enum class EpochForm : std::uint8_t {
  kData,       // CKO_DATA: CKA_APPLICATION names the id, CKA_VALUE is number(8) and check(8)
  kSecretKey,  // an AES key without any usage: CKA_ID is derived from the id, CKA_LABEL counts
  kKeyPair,    // the private half of a P-256 pair: the same
};

struct EpochObjects {
  std::optional<std::uint64_t> value;  // the highest; nullopt: there is none
  EpochForm form = EpochForm::kData;   // of the highest
};

// Errors: kCorrupted when an object with the epoch's name holds no number; as the session; those of
// a lost login, which hides what is there.
Result<EpochObjects> ReadEpochObjects(Session& session, const Uuid& id);
// Errors: as the session.
Status MakeEpochObject(Session& session, const Uuid& id, std::uint64_t value, EpochForm form);
// Destroys those below `keep_from`, all when it is nullopt.
Status DestroyEpochObjects(Session& session, const Uuid& id,
                           std::optional<std::uint64_t> keep_from);

}  // namespace kms::pkcs11
