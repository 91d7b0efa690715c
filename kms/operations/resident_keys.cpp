// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/resident_keys.h"

#include <algorithm>
#include <utility>

#include "kms/master/guarded_device.h"

namespace kms {

namespace {

constexpr std::chrono::seconds kUseTimeout{5};  // of tokens that have no time of their own
// As for all work on the keys of an environment.
constexpr int kTurnsTimeouts = 4;

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
  return call(*keys, device->DeadlineFrom(clock_.SteadyNow(), timeout));
}

// What lies in a token under a label is anybody's; what this service made there is known to be the
// environment's own.
template <typename Call>
auto ResidentKeys::Use(const ResidentVersion& where, const Call& call) const
    -> decltype(call(std::declval<ResidentKeyDevice&>(), Deadline())) {
  if (!where.reference.empty()) {
    KMS_TRY(CheckIsMember(where.hsm));
  }
  return Run(where.hsm, kUseTimeout, call);
}

void ResidentKeys::SetMembers(std::vector<std::string> members) {
  const ScopedLock lock(mutex_);
  members_ = std::move(members);
}

Status ResidentKeys::CheckIsMember(std::string_view hsm) const {
  std::string names;
  {
    const ScopedLock lock(mutex_);
    if (!members_ || std::ranges::find(*members_, hsm) != members_->end()) {
      return Ok();
    }
    for (const std::string& member : *members_) {
      names += (names.empty() ? "" : ", ") + member;
    }
  }
  return FailedPrecondition("HSM " + std::string(hsm.substr(0, 64)) +
                            " does not serve this environment, and an external key must be in one "
                            "that does: it is served by " + names +
                            "; add another with `kmsctl hsm add`");
}

Result<Bytes> ResidentKeys::Sign(const ResidentVersion& where,
                                 const ResidentSignRequest& request) const {
  return Use(where, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.ResidentSign(where.record, request, deadline);
  });
}

Result<SecretBytes> ResidentKeys::DecryptRsa(const ResidentVersion& where,
                                             std::optional<HashAlgorithm> hash,
                                             ByteView ciphertext) const {
  return Use(where, [&](ResidentKeyDevice& keys, Deadline deadline) {
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
  return Use(where, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.ResidentEncrypt(where.record, secret, associated_data, deadline);
  });
}

Result<SecretBytes> ResidentKeys::Decrypt(const ResidentVersion& where,
                                          const ResidentCiphertext& ciphertext,
                                          ByteView associated_data) const {
  return Use(where, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.ResidentDecrypt(where.record, ciphertext, associated_data, deadline);
  });
}

Result<SecretBytes> ResidentKeys::Agree(const ResidentVersion& where,
                                        ByteView peer_public_key) const {
  return Use(where, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.ResidentAgree(where.record, peer_public_key, deadline);
  });
}

Result<ResidentKeyRecord> ResidentKeys::Generate(std::string_view hsm, const Uuid& id,
                                                 ResidentKeyType type,
                                                 const std::string& label) const {
  const Deadline least = clock_.SteadyNow() + kMakingTimeout;
  return Run(hsm, kMakingTimeout, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.GenerateResidentKey(id, type, label, std::max(deadline, least));
  });
}

Result<ResidentKeyRecord> ResidentKeys::Find(std::string_view hsm,
                                             const std::string& reference) const {
  KMS_TRY(CheckIsMember(hsm));
  return Run(hsm, kUseTimeout, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.FindResidentKey(reference, deadline);
  });
}

Status ResidentKeys::Destroy(std::string_view hsm, const Uuid& id, const std::string& label) const {
  ResidentKeyRecord record;
  record.id = CopyOf(id.View());
  record.label = label;
  return Run(hsm, kUseTimeout, [&](ResidentKeyDevice& keys, Deadline deadline) {
    return keys.DestroyResidentKey(record, deadline);
  });
}

std::chrono::milliseconds ResidentKeys::TurnTimeout() const {
  const SteadyTime now = clock_.SteadyNow();
  SteadyTime latest = now;
  for (const std::string& name : hsms_.Names()) {
    const std::shared_ptr<GuardedDevice> device = hsms_.Find(name);
    latest = device == nullptr ? latest : std::max(latest, device->DeadlineFrom(now, kUseTimeout));
  }
  return std::min(kTurnsTimeouts * std::chrono::ceil<std::chrono::milliseconds>(latest - now),
                  std::chrono::milliseconds(kMakingTimeout));
}

bool ResidentKeys::WouldTry(std::string_view hsm) const {
  const std::shared_ptr<GuardedDevice> device = hsms_.Find(hsm);
  return device != nullptr && device->resident_keys() != nullptr && device->WouldTry();
}

}  // namespace kms
