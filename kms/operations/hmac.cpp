// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/hmac.h"

#include "kms/crypto/hmac.h"
#include "kms/keys/ciphertext.h"

namespace kms {

// An HMAC key beside the key in the HSM would be one in software, which is what was not wanted.
Status CheckHasHmacKey(const KeyPolicy& policy) {
  if (policy.is_resident()) {
    return InvalidArgument("HMAC is not supported for keys that live in an HSM; use a key of type "
                           "hmac");
  }
  return Ok();
}

Result<const KeyVersion*> ChooseHmacVersion(const Key& key, std::int64_t requested) {
  const KeyPolicy& policy = key.policy();
  KMS_TRY(CheckHasHmacKey(policy));
  const std::int64_t number = requested == 0 ? std::int64_t{policy.latest_version} : requested;
  if (policy.min_encryption_version != 0 &&
      number < std::int64_t{policy.min_encryption_version}) {
    return InvalidArgument("cannot generate HMAC: version is too old (disallowed by policy)");
  }
  if (number < 0) {
    return InvalidArgument("key version does not exist (cannot be negative)");
  }
  if (number > std::int64_t{policy.latest_version}) {
    return InvalidArgument("key version does not exist; latest key version is " +
                           std::to_string(policy.latest_version));
  }
  const KeyVersion* version = key.FindVersion(static_cast<KeyVersionNumber>(number));
  if (version == nullptr) {
    return InvalidArgument("no such key version");
  }
  return version;
}

Status Hmac(const KeyVersion& version, HashAlgorithm algorithm, ByteView input,
            std::string& hmac) {
  const HashValue value = KMS_TRY(ComputeHmac(algorithm, version.hmac_key.View(), input));
  AppendCiphertext(version.number, value.View(), hmac);
  return Ok();
}

}  // namespace kms
