// SPDX-License-Identifier: Apache-2.0
// ResidentKeys: how one environment works with keys that live in HSM tokens.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/master/hsm_registry.h"
#include "kms/master/resident_key_device.h"

namespace kms {

// Every call goes to the one token that holds the key and waits for it no longer than a call to that
// token may take, a few seconds as a rule: its trouble is that of this key alone. Errors of every
// call: those of ResidentKeyDevice and GuardedDevice; kUnavailable when the token is not known now;
// kInvalidArgument when it holds no keys; kFailedPrecondition for a key of another program in a
// token that does not open the environment.
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

  // As GenerateResidentKey; RSA takes up to seconds, so it has kMakingTimeout at least.
  Result<ResidentKeyRecord> Generate(std::string_view hsm, const Uuid& id, ResidentKeyType type,
                                     const std::string& label) const;
  Result<ResidentKeyRecord> Find(std::string_view hsm, const std::string& reference) const;
  // Success when it is already gone. Errors besides: kFailedPrecondition when the key with that id
  // bears a label that does not begin with `label`.
  Status Destroy(std::string_view hsm, const Uuid& id, const std::string& label) const;

  // The tokens that open the environment: keys of other programs are looked for and used in these
  // alone. Until it is called, in all.
  void SetMembers(std::vector<std::string> members);

  // Whether a call to the token would be tried now.
  [[nodiscard]] bool WouldTry(std::string_view hsm) const;

  // Held while a version is made, over HSM calls of seconds: wait no longer than TurnTimeout, for
  // those who wait hold threads that serve everybody.
  [[nodiscard]] std::timed_mutex& making_mutex() { return making_mutex_; }
  // As long as a few calls to the slowest token may take.
  [[nodiscard]] std::chrono::milliseconds TurnTimeout() const;
  static constexpr std::chrono::seconds kMakingTimeout{60};

 private:
  template <typename Call>
  auto Run(std::string_view hsm, std::chrono::seconds timeout, const Call& call) const
      -> decltype(call(std::declval<ResidentKeyDevice&>(), Deadline()));
  // The same with a key that is used.
  template <typename Call>
  auto Use(const ResidentVersion& where, const Call& call) const
      -> decltype(call(std::declval<ResidentKeyDevice&>(), Deadline()));
  Status CheckIsMember(std::string_view hsm) const;

  HsmRegistry& hsms_;
  const Clock& clock_;
  std::timed_mutex making_mutex_;
  mutable Mutex mutex_;
  std::optional<std::vector<std::string>> members_ KMS_GUARDED_BY(mutex_);
};

}  // namespace kms
