// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/set_certificate.h"

#include <utility>

#include "kms/crypto/certificate_chain.h"
#include "kms/operations/certifiable_key.h"
#include "kms/operations/key_storage.h"
#include "kms/operations/replace_version.h"

namespace kms {

namespace {

// A chain can be set again on whatever someone else made of the key meanwhile.
constexpr int kAttempts = 4;

Result<SetCertificateOutcome> SetOnce(Environment& environment, const KeyName& name,
                                      const SetCertificateRequest& request) {
  const std::optional<LoadedKey> loaded = KMS_TRY(LoadKey(environment, name.text()));
  const Key* key = loaded ? loaded->key.get() : nullptr;
  KMS_TRY(CheckCertifiable(key, name));
  const KeyVersion* version = KMS_TRY(FindVersionOrLatest(*key, request.version));
  KeyVersion certified = KMS_TRY(version->Clone());
  certified.certificate_chain =
      KMS_TRY(ParseCertificateChain(*key->FindAsymmetric(version->number), request.chain_pem));
  return SetCertificateOutcome{.key = KMS_TRY(ReplaceVersion(environment, *loaded, certified)),
                               .version = certified.number};
}

}  // namespace

Result<SetCertificateOutcome> SetCertificate(Environment& environment, const KeyName& name,
                                             const SetCertificateRequest& request) {
  const ScopedLock lock(environment.KeyWriteMutex(name.text()));
  for (int attempt = 1;; ++attempt) {
    Result<SetCertificateOutcome> outcome = SetOnce(environment, name, request);
    const bool again = !outcome.has_value() && outcome.error().code == ErrorCode::kConflict;
    if (!again || attempt == kAttempts) {
      return outcome;
    }
  }
}

}  // namespace kms
