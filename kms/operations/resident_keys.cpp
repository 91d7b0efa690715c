// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/resident_keys.h"

#include <utility>

#include "kms/master/guarded_device.h"

namespace kms {

namespace {

constexpr std::chrono::seconds kUseTimeout{5};

}  // namespace

template <typename Call>
auto ResidentKeys::Run(std::string_view hsm, std::chrono::seconds timeout, const Call& call) const
    -> decltype(call(std::declval<ResidentKeyDevice&>(), Deadline())) {
  // Kept alive over the call.
  const std::shared_ptr<GuardedDevice> device = hsms_.Find(hsm);
  if (device == nullptr) {
    return Unavailable("the key lives in HSM \"" + std::string(hsm) +
                       "\", which is not configured; configure it again and retry");
  }
  ResidentKeyDevice* const keys = device->resident_keys();
  if (keys == nullptr) {
    return InvalidArgument("HSM \"" + std::string(hsm) + "\" holds no keys of callers");
  }
  return call(*keys, clock_.SteadyNow() + timeout);
}

Result<Bytes> ResidentKeys::Sign(const ResidentVersion& where,
                                 const ResidentSignRequest& request) const {
  return Run(where.hsm, kUseTimeout, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.ResidentSign(where.record, request, deadline);
  });
}

Result<SecretBytes> ResidentKeys::DecryptRsa(const ResidentVersion& where,
                                             std::optional<HashAlgorithm> hash,
                                             ByteView ciphertext) const {
  return Run(where.hsm, kUseTimeout, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.ResidentRsaDecrypt(where.record, hash, ciphertext, deadline);
  });
}

Result<ResidentCiphertext> ResidentKeys::Encrypt(const ResidentVersion& where, ByteView plaintext,
                                                 ByteView associated_data) const {
  if (plaintext.size() + associated_data.size() > kMaxResidentMessageBytes) {
    return InvalidArgument("a key that lives in an HSM encrypts at most " +
                           std::to_string(kMaxResidentMessageBytes) +
                           " bytes, associated data included; encrypt larger data with a data key "
                           "(datakey)");
  }
  const SecretBytes secret = KMS_TRY(SecretBytes::CopyOf(plaintext));
  return Run(where.hsm, kUseTimeout, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.ResidentEncrypt(where.record, secret, associated_data, deadline);
  });
}

Result<SecretBytes> ResidentKeys::Decrypt(const ResidentVersion& where,
                                          const ResidentCiphertext& ciphertext,
                                          ByteView associated_data) const {
  return Run(where.hsm, kUseTimeout, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.ResidentDecrypt(where.record, ciphertext, associated_data, deadline);
  });
}

Result<SecretBytes> ResidentKeys::Agree(const ResidentVersion& where,
                                        ByteView peer_public_key) const {
  return Run(where.hsm, kUseTimeout, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.ResidentAgree(where.record, peer_public_key, deadline);
  });
}

Result<ResidentKeyRecord> ResidentKeys::Generate(std::string_view hsm, const Uuid& id,
                                                 ResidentKeyType type,
                                                 const std::string& label) const {
  return Run(hsm, kMakingTimeout, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.GenerateResidentKey(id, type, label, deadline);
  });
}

Result<ResidentKeyRecord> ResidentKeys::Find(std::string_view hsm,
                                             const std::string& reference) const {
  return Run(hsm, kUseTimeout, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.FindResidentKey(reference, deadline);
  });
}

Status ResidentKeys::Destroy(std::string_view hsm, const Uuid& id) const {
  ResidentKeyRecord record;
  record.id = CopyOf(id.View());
  return Run(hsm, kUseTimeout, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.DestroyResidentKey(record, deadline);
  });
}

bool ResidentKeys::WouldTry(std::string_view hsm) const {
  const std::shared_ptr<GuardedDevice> device = hsms_.Find(hsm);
  return device != nullptr && device->resident_keys() != nullptr && device->WouldTry();
}

}  // namespace kms
