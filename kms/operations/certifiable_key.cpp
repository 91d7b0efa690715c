// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/certifiable_key.h"

#include <string>

#include "kms/operations/usable_key.h"

namespace kms {

Status CheckCertifiable(const Key* key, const KeyName& name) {
  if (key == nullptr) {
    return InvalidArgument("key with provided name '" + name.text() + "' not found");
  }
  KMS_TRY(CheckUsable(*key));
  const KeyTypeTraits& traits = TraitsOf(key->policy().type);
  if (!traits.supports_signing) {
    return InvalidArgument("key type '" + std::string(traits.name) + "' does not support signing");
  }
  if (key->policy().derived) {
    return InvalidArgument("operation not supported for keys with derivation enabled");
  }
  return Ok();
}

Result<const KeyVersion*> FindVersionOrLatest(const Key& key, std::int64_t version) {
  const KeyPolicy& policy = key.policy();
  const std::int64_t number = version == 0 ? std::int64_t{policy.latest_version} : version;
  const bool exists = number >= std::int64_t{policy.min_decryption_version} &&
                      number <= std::int64_t{policy.latest_version};
  if (!exists) {
    return InvalidArgument("no such key version");
  }
  return key.FindVersion(static_cast<KeyVersionNumber>(number));
}

}  // namespace kms
