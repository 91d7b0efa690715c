// SPDX-License-Identifier: Apache-2.0
// ResidentKeys: how one environment works with keys that live in HSM tokens.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/master/hsm_registry.h"
#include "kms/master/resident_key_device.h"

namespace kms {

// Every call goes to the one token that holds the key and waits for it a few seconds at most: its
// trouble is that of this key alone. Errors of every call: those of ResidentKeyDevice and
// GuardedDevice; kUnavailable when the token is not known now; kInvalidArgument when it holds no
// keys.
// Thread rule: any thread; blocks: not for the hot lane.
class ResidentKeys {
 public:
  // Both must outlive it.
  ResidentKeys(HsmRegistry& hsms, const Clock& clock) : hsms_(hsms), clock_(clock) {}

  Result<Bytes> Sign(const ResidentVersion& where, const ResidentSignRequest& request) const;
  Result<SecretBytes> DecryptRsa(const ResidentVersion& where, std::optional<HashAlgorithm> hash,
                                 ByteView ciphertext) const;
  Result<ResidentCiphertext> Encrypt(const ResidentVersion& where, ByteView plaintext,
                                     ByteView associated_data) const;
  Result<SecretBytes> Decrypt(const ResidentVersion& where, const ResidentCiphertext& ciphertext,
                              ByteView associated_data) const;

  // The shared secret of ECDH with the public key of a peer, which the caller has checked.
  Result<SecretBytes> Agree(const ResidentVersion& where, ByteView peer_public_key) const;

  // As GenerateResidentKey; RSA takes up to seconds.
  Result<ResidentKeyRecord> Generate(std::string_view hsm, const Uuid& id, ResidentKeyType type,
                                     const std::string& label) const;
  Result<ResidentKeyRecord> Find(std::string_view hsm, const std::string& reference) const;
  // Success when it is already gone.
  Status Destroy(std::string_view hsm, const Uuid& id) const;

  // Whether a call to the token would be tried now.
  [[nodiscard]] bool WouldTry(std::string_view hsm) const;

  // Held while a version is made, over HSM calls of seconds: wait with a limit.
  [[nodiscard]] std::timed_mutex& making_mutex() { return making_mutex_; }
  static constexpr std::chrono::seconds kMakingTimeout{60};

 private:
  template <typename Call>
  auto Run(std::string_view hsm, std::chrono::seconds timeout, const Call& call) const
      -> decltype(call(std::declval<ResidentKeyDevice&>(), Deadline()));

  HsmRegistry& hsms_;
  const Clock& clock_;
  std::timed_mutex making_mutex_;
};

}  // namespace kms
