// SPDX-License-Identifier: Apache-2.0
// Connection: everything that lives from one C_Initialize to its C_Finalize.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/libp11_tenant.h"
#include "pkcs11/module.h"
#include "pkcs11/negotiation.h"
#include "pkcs11/resident_bindings.h"
#include "pkcs11/session_pool.h"
#include "pkcs11/signer.h"
#include "pkcs11/token_lock.h"
#include "pkcs11/token_options.h"
#include "pkcs11/wrap_signature.h"

namespace kms::pkcs11 {

// What a token says of a PIN.
enum class PinVerdict : std::uint8_t {
  kNotRefused,
  kRefused,  // not tried, or no attempt was counted: it is locked, expired or not set
  kWrong,    // and the token has counted that
};

// The four steps are called in order, by one thread, before anything else; after them any thread
// may call the rest. Destroying it finalises the module: no call may be under way then.
class Connection {
 public:
  // `module` and `options` must outlive it.
  Connection(const Module& module, const TokenOptions& options)
      : module_(module), options_(options) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Steps. kFailedPrecondition: an operator must act; anything else: the device failed.
  Status Initialize(Deadline deadline);
  // Without libp11, signatures are made through the pool.
  Status Find(bool with_libp11);
  // The PIN is tried at most once, and not at all on the token's last try. `attempt_was_cut`: an
  // earlier attempt never came back; when the token has counted a wrong one since, that was it.
  Status Login(const SecretBytes& pin, bool attempt_was_cut, PinVerdict& verdict);
  // `proven`: by earlier connections.
  Status Bind(std::span<const WrapProfile> proven);

  // Logs in again unless that happened since `epoch` was read: true if it did. Holds objects()
  // exclusively meanwhile. Errors and `verdict` as Login.
  Result<bool> LoginAgain(std::uint64_t epoch, const SecretBytes& pin, PinVerdict& verdict);
  [[nodiscard]] std::uint64_t login_epoch() const;

  // The handle of the recorded key: found by CKA_ID, judged and proven by its sentinel before its
  // first use. Errors: kNotFound; kFailedPrecondition; as the session.
  Result<CK_OBJECT_HANDLE> BindKey(Session& session, const MasterKeyRecord& record);
  // For a key that was just made, judged and proven, so that its first use does none of it again.
  // The caller has held objects() since.
  void KeepBound(const MasterKeyRecord& record, CK_OBJECT_HANDLE handle);
  void ForgetKey(const Uuid& id);

  // ---- what makes RSA wraps authentic (wrap_signature.h); nothing for other mechanisms.
  // Errors: as the session; kFailedPrecondition when the token has lost the key.
  Status SignWrap(Session& session, WrappedKey& wrapped, ByteView context);
  // Errors besides: kCorrupted when the token has not signed it.
  Status CheckWrap(Session& session, const WrappedKey& wrapped, ByteView context);

  // The audit key, made if the token has none. Holds objects() exclusively meanwhile.
  Result<Signer*> SigningKey(Deadline deadline);

  // For SoftHSM: copies the token directory. Call after every change of token objects.
  Status BackUp(Deadline deadline) const;

  // The token answers and is the one that was bound.
  [[nodiscard]] Rv CheckPresent() const;

  // Tests one mechanism anew. Hold objects() exclusively.
  Result<Proof> Prove(const WrapProfile& profile);

  SessionPool& pool() { return *pool_; }
  // Exclusive for making and destroying token objects, shared for everything else: some modules
  // give spurious failures otherwise.
  SharedMutex& objects() { return objects_; }
  [[nodiscard]] const Negotiated& negotiated() const { return negotiated_; }
  // What is demanded of a master key on this token.
  [[nodiscard]] KeyDemands DemandsFor(WrapMechanism mechanism) const {
    return {.mechanism = mechanism,
            .unmodifiable = negotiated_.honours_unmodifiable,
            .local = negotiated_.reports_local};
  }
  [[nodiscard]] KeyDemands ResidentDemands() const {
    return DemandsFor(WrapMechanism::kGcmEncrypt);
  }
  // Keys that live in the token, as far as this connection has used them.
  ResidentBindings& residents() { return residents_; }
  [[nodiscard]] KeyDemands ImportDemands() const { return DemandsFor(WrapMechanism::kOaepSha256); }
  [[nodiscard]] const TokenFacts& facts() const { return facts_; }
  [[nodiscard]] const std::string& module_description() const { return module_description_; }
  [[nodiscard]] const Module& module() const { return module_; }

 private:
  struct BoundKey {
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    MasterKeyRecord record;
  };

  // `error` of a sentinel, or that its mechanism is gone from the token.
  [[nodiscard]] Error Explained(const Error& error, const Session& session,
                                const MasterKeyRecord& record) const;
  [[nodiscard]] bool IsSoftHsm() const { return !options_.softhsm_state_directory.empty(); }
  Result<std::unique_ptr<FileLock>> LockLogin(Deadline deadline) const;
  Status SettleSessions(bool with_libp11);
  Result<std::vector<WrapKey>> BindWrapKeys(Session& session);
  Status CheckPinState(bool attempt_was_cut, PinVerdict& verdict) const;

  // Constant after the steps.
  const Module& module_;
  const TokenOptions& options_;
  bool initialized_ = false;
  std::unique_ptr<FileLock> login_lock_;  // from Initialize to Login
  std::unique_ptr<Libp11Tenant> tenant_;
  TokenFacts facts_;
  std::string module_description_;
  Negotiated negotiated_;
  // Keeps the login; never used for work, but for the test of mechanisms where sessions are scarce.
  std::optional<Session> anchor_;
  std::unique_ptr<SessionPool> pool_;

  SharedMutex objects_;
  ResidentBindings residents_;
  mutable Mutex mutex_;
  std::map<Uuid, BoundKey> bound_ KMS_GUARDED_BY(mutex_);
  std::vector<WrapKey> wrap_keys_ KMS_GUARDED_BY(mutex_);  // empty: not looked for yet
  std::uint64_t login_epoch_ KMS_GUARDED_BY(mutex_) = 0;
  Mutex signer_mutex_;
  std::unique_ptr<Signer> signer_ KMS_GUARDED_BY(signer_mutex_);
};

}  // namespace kms::pkcs11
