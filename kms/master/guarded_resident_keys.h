// SPDX-License-Identifier: Apache-2.0
// GuardedResidentKeys: the resident keys of one token behind its breaker; part of GuardedDevice.
#pragma once

#include "kms/master/call_gate.h"
#include "kms/master/resident_key_device.h"

namespace kms {

// Thread rule: any thread. Errors: as GuardedDevice.
class GuardedResidentKeys final : public ResidentKeyDevice {
 public:
  // Both must outlive it.
  GuardedResidentKeys(ResidentKeyDevice& keys, CallGate& gate) : keys_(keys), gate_(gate) {}

  Result<ResidentKeyRecord> GenerateResidentKey(const Uuid& id, ResidentKeyType type,
                                                const std::string& label,
                                                Deadline deadline) override {
    return gate_.Run(deadline,
                     [&] { return keys_.GenerateResidentKey(id, type, label, deadline); });
  }
  Result<ResidentKeyRecord> FindResidentKey(const std::string& reference,
                                            Deadline deadline) override {
    return gate_.RunForRequest(deadline,
                               [&] { return keys_.FindResidentKey(reference, deadline); });
  }
  Status DestroyResidentKey(const ResidentKeyRecord& key, Deadline deadline) override {
    return gate_.Run(deadline, [&] { return keys_.DestroyResidentKey(key, deadline); });
  }
  Result<Bytes> ResidentSign(const ResidentKeyRecord& key, const ResidentSignRequest& request,
                             Deadline deadline) override {
    return gate_.RunForRequest(deadline,
                               [&] { return keys_.ResidentSign(key, request, deadline); });
  }
  Result<SecretBytes> ResidentRsaDecrypt(const ResidentKeyRecord& key,
                                         std::optional<HashAlgorithm> hash, ByteView ciphertext,
                                         Deadline deadline) override {
    return gate_.RunForRequest(
        deadline, [&] { return keys_.ResidentRsaDecrypt(key, hash, ciphertext, deadline); });
  }
  Result<ResidentCiphertext> ResidentEncrypt(const ResidentKeyRecord& key,
                                             const SecretBytes& plaintext, ByteView aad,
                                             Deadline deadline) override {
    return gate_.RunForRequest(
        deadline, [&] { return keys_.ResidentEncrypt(key, plaintext, aad, deadline); });
  }
  Result<SecretBytes> ResidentDecrypt(const ResidentKeyRecord& key,
                                      const ResidentCiphertext& ciphertext, ByteView aad,
                                      Deadline deadline) override {
    return gate_.RunForRequest(
        deadline, [&] { return keys_.ResidentDecrypt(key, ciphertext, aad, deadline); });
  }
  Result<SecretBytes> ResidentAgree(const ResidentKeyRecord& key, ByteView peer_public_key,
                                    Deadline deadline) override {
    return gate_.RunForRequest(deadline,
                               [&] { return keys_.ResidentAgree(key, peer_public_key, deadline); });
  }

 private:
  ResidentKeyDevice& keys_;
  CallGate& gate_;
};

}  // namespace kms
