// SPDX-License-Identifier: Apache-2.0
// Going up and down in the order that lets libp11 and the raw calls share one module.
#include "pkcs11/connection.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <vector>

#include "pkcs11/token_backup.h"

namespace kms::pkcs11 {
namespace {

constexpr auto kLoginLockWait = std::chrono::seconds(10);
constexpr std::size_t kFewestSessions = 2;  // the anchor and one at work
constexpr std::size_t kSessionsWithLibp11 = 3;

Deadline In(std::chrono::seconds seconds) { return std::chrono::steady_clock::now() + seconds; }

PinVerdict VerdictOf(const Rv& rv) {
  if (rv.kind() != RvKind::kAuth) return PinVerdict::kNotRefused;
  const bool counted = rv.value == CKR_PIN_INCORRECT || rv.value == CKR_PIN_INVALID ||
                       rv.value == CKR_PIN_LEN_RANGE;
  return counted ? PinVerdict::kWrong : PinVerdict::kRefused;
}

}  // namespace

Connection::~Connection() {
  {
    ScopedLock lock(signer_mutex_);
    signer_.reset();
  }
  pool_.reset();
  anchor_.reset();
  tenant_.reset();
  // libp11 has finalised the module with its context; this is for the paths without it.
  if (initialized_) static_cast<void>(module_.Finalize());
}

Result<std::unique_ptr<FileLock>> Connection::LockLogin(Deadline deadline) const {
  if (!IsSoftHsm()) return std::unique_ptr<FileLock>();
  return FileLock::Acquire(LoginLockPath(options_.softhsm_state_directory), deadline);
}

Status Connection::Initialize(Deadline deadline) {
  login_lock_ = KMS_TRY(LockLogin(deadline));
  if (IsSoftHsm()) {
    const std::string tokens = KMS_TRY(SoftHsmTokenDirectory(options_.softhsm_config));
    KMS_TRY(RestoreEmptiedTokens(tokens, options_.softhsm_state_directory));
  }
  const Rv rv = module_.Initialize(options_.module_init);
  initialized_ = rv.ok();
  if (!rv.ok()) return Unavailable("the HSM module does not start; retry later",
                                   rv.ToError().detail);
  module_description_ = module_.Description();
  tenant_ = KMS_TRY(Libp11Tenant::Attach(module_.path(), options_.module_init));
  return Ok();
}

Status Connection::Find(bool with_libp11) {
  std::string_view wanted = options_.token_label;
  wanted = wanted.substr(0, wanted.find_last_not_of(' ') + 1);
  std::vector<FoundToken> tokens = tenant_->Tokens();
  std::erase_if(tokens, [&](const FoundToken& token) { return token.label != wanted; });
  if (tokens.empty()) {
    return Unavailable("no HSM token bears the configured label; it is looked for again",
                       options_.token_label);
  }
  if (tokens.size() > 1) {
    return FailedPrecondition("several HSM tokens bear the configured label; relabel all but one",
                              options_.token_label);
  }
  if (!options_.token_serial.empty() && tokens.front().serial != options_.token_serial) {
    return FailedPrecondition(
        "the HSM token of the configured label has another serial number than expected; connect "
        "the right token or correct the configuration",
        "expected " + options_.token_serial + ", found " + tokens.front().serial);
  }
  const Rv rv = module_.ReadToken(tokens.front().slot, facts_);
  if (!rv.ok()) return rv.ToError();
  return SettleSessions(with_libp11);
}

// Libp11 waits for ever for a session that the token does not grant, and can be done without (H17).
Status Connection::SettleSessions(bool with_libp11) {
  std::vector<Session> granted;
  Rv rv;
  while (rv.ok() && granted.size() < kSessionsWithLibp11) {
    std::optional<Session> session;
    rv = Session::Open(module_, facts_.slot, session);
    if (session.has_value()) granted.push_back(std::move(*session));
  }
  if (!rv.ok() && rv.kind() != RvKind::kBusy) return rv.ToError();
  if (granted.size() < kFewestSessions) {
    return Unavailable(
        "the HSM token grants " + std::to_string(granted.size()) +
            " sessions at a time, and two are the least, one for the login and one at work; raise "
            "its limit or end other programs that hold sessions of it",
        rv.ToError().detail);
  }
  const bool has_room = granted.size() == kSessionsWithLibp11;
  granted.clear();
  return has_room && with_libp11 ? tenant_->Settle(facts_.slot) : Ok();
}

// The last try is the operator's: a wrong PIN there locks the token.
Status Connection::CheckPinState(bool attempt_was_cut, PinVerdict& verdict) const {
  if ((facts_.flags & CKF_USER_PIN_INITIALIZED) == 0) {
    return FailedPrecondition("the HSM token has no user PIN; initialise it");
  }
  if ((facts_.flags & (CKF_USER_PIN_LOCKED | CKF_USER_PIN_FINAL_TRY)) != 0) {
    verdict = PinVerdict::kRefused;
    return FailedPrecondition(
        "the HSM token's PIN is locked or one wrong try away from it; log in by hand with the "
        "vendor's tool to reset the counter, then restart");
  }
  if (attempt_was_cut && (facts_.flags & CKF_USER_PIN_COUNT_LOW) != 0) {
    verdict = PinVerdict::kWrong;
    return FailedPrecondition(
        "the last login ended without an answer and the HSM token has counted a wrong PIN; it is "
        "not tried again: put the right PIN into its source");
  }
  return Ok();
}

Status Connection::Login(const SecretBytes& pin, bool attempt_was_cut, PinVerdict& verdict) {
  KMS_TRY(CheckPinState(attempt_was_cut, verdict));
  anchor_ = KMS_TRY(Session::Open(module_, facts_.slot));
  const Rv rv = anchor_->Login(CKU_USER, pin);
  verdict = VerdictOf(rv);
  if (!rv.ok()) return rv.ToError();
  pool_ = std::make_unique<SessionPool>(module_, facts_.slot, options_.sessions);
  std::error_code ignored;
  const bool backed_up =
      std::filesystem::exists(options_.softhsm_state_directory + "/backup", ignored);
  login_lock_.reset();
  if (!backed_up) KMS_TRY(BackUp(In(kLoginLockWait)));
  return Ok();
}

Status Connection::Bind(std::span<const WrapProfile> proven) {
  negotiated_ =
      KMS_TRY(NegotiateMechanisms(*anchor_, facts_.slot, options_.pinned_mechanism, proven));
  // NSS honours it for the session keys of the test and refuses it for keys in the token: only
  // where token keys are known to be made so is another one suspicious.
  negotiated_.honours_unmodifiable = negotiated_.honours_unmodifiable && IsSoftHsm();
  return negotiated_.made_objects ? BackUp(In(kLoginLockWait)) : Ok();
}

Result<Proof> Connection::Prove(const WrapProfile& profile) {
  pool_->CloseIdle();  // the test needs sessions of its own
  return ProveCandidate(*anchor_, facts_.slot, profile);
}

std::uint64_t Connection::login_epoch() const {
  ScopedLock lock(mutex_);
  return login_epoch_;
}

Result<bool> Connection::LoginAgain(std::uint64_t epoch, const SecretBytes& pin,
                                    PinVerdict& verdict) {
  // No call is under way while the login changes, so that none sees keys come and go.
  ScopedLock exclusive(objects_);
  if (login_epoch() != epoch) return false;
  const auto file_lock = KMS_TRY(LockLogin(In(kLoginLockWait)));
  Rv rv = anchor_->Login(CKU_USER, pin);
  if (rv.kind() == RvKind::kSession) {  // it went with the login; the PIN was not looked at
    anchor_ = KMS_TRY(Session::Open(module_, facts_.slot));
    rv = anchor_->Login(CKU_USER, pin);
  }
  verdict = VerdictOf(rv);
  if (!rv.ok()) return rv.ToError();
  residents_.Clear();
  ScopedLock lock(mutex_);
  ++login_epoch_;
  bound_.clear();  // handles of private objects went with the old login
  wrap_keys_.clear();
  return true;
}

Result<CK_OBJECT_HANDLE> Connection::BindKey(Session& session, const MasterKeyRecord& record) {
  std::uint64_t epoch = 0;
  {
    ScopedLock lock(mutex_);
    epoch = login_epoch_;
    const auto found = bound_.find(record.id);
    if (found != bound_.end() && found->second.record == record) return found->second.handle;
  }
  const auto object = FindMasterKeyObject(session, record.id);
  if (!object.has_value()) {
    if (object.error().code != ErrorCode::kNotFound) return object.error();
    // Private objects are invisible without a login: then it is the login that is missing.
    const bool logged_in = KMS_TRY(session.LoggedIn());
    if (!logged_in) return session.Fail({CKR_USER_NOT_LOGGED_IN, "C_FindObjects"});
    return object.error();
  }
  const CK_OBJECT_HANDLE handle = *object;
  KMS_TRY(CheckMasterKeyAttributes(session, handle, DemandsFor(record.mechanism)));
  KMS_TRY(CheckWrap(session, record.sentinel, SentinelContext(record.id)));
  const Status opened = OpenSentinel(session, handle, record);
  if (!opened.has_value()) return Explained(opened.error(), session, record);
  ScopedLock lock(mutex_);
  if (epoch == login_epoch_) bound_.insert_or_assign(record.id, BoundKey{handle, record});
  return handle;
}

// A mechanism that a change of firmware or settings took away (H21): no other is tried.
Error Connection::Explained(const Error& error, const Session& session,
                            const MasterKeyRecord& record) const {
  const bool refused =
      session.failure().has_value() && session.failure()->kind() == RvKind::kPolicy;
  const bool usable = std::ranges::find(negotiated_.usable, record.mechanism,
                                        &WrapProfile::mechanism) != negotiated_.usable.end();
  if (!refused || usable) return error;
  return FailedPrecondition(
      "the HSM token does not do " + std::string(WrapMechanismName(record.mechanism)) +
          " any more, which master key " + record.id.ToString() +
          " was made for; undo the change of its firmware or settings (`kmsd hsm-test` shows what "
          "it does)",
      error.detail + "; " + negotiated_.report);
}

void Connection::KeepBound(const MasterKeyRecord& record, CK_OBJECT_HANDLE handle) {
  ScopedLock lock(mutex_);
  bound_.insert_or_assign(record.id, BoundKey{handle, record});
}

void Connection::ForgetKey(const Uuid& id) {
  ScopedLock lock(mutex_);
  bound_.erase(id);
  wrap_keys_.clear();  // its handle may be as old
}

Result<std::vector<WrapKey>> Connection::BindWrapKeys(Session& session) {
  std::uint64_t epoch = 0;
  {
    ScopedLock lock(mutex_);
    epoch = login_epoch_;
    if (!wrap_keys_.empty()) return wrap_keys_;
  }
  std::vector<WrapKey> found = KMS_TRY(FindWrapKeys(session, negotiated_.reports_local));
  if (found.empty()) {
    return FailedPrecondition("the HSM token lacks the key that its wraps are signed with, \"" +
                              std::string(kWrapKeyLabel) + "\"; restore the token from a backup");
  }
  ScopedLock lock(mutex_);
  if (epoch == login_epoch_) wrap_keys_ = found;
  return found;
}

Status Connection::SignWrap(Session& session, WrappedKey& wrapped, ByteView context) {
  if (!UsesRsa(wrapped.mechanism)) return Ok();
  const std::vector<WrapKey> keys = KMS_TRY(BindWrapKeys(session));
  return pkcs11::SignWrap(session, keys.front(), wrapped, context);
}

Status Connection::CheckWrap(Session& session, const WrappedKey& wrapped, ByteView context) {
  if (!UsesRsa(wrapped.mechanism)) return Ok();
  const std::vector<WrapKey> keys = KMS_TRY(BindWrapKeys(session));
  return CheckWrapSignature(keys, wrapped, context);
}

Result<Signer*> Connection::SigningKey(Deadline deadline) {
  ScopedLock lock(signer_mutex_);
  if (signer_ != nullptr) return signer_.get();
  SigningKeyObject object;
  {
    std::optional<Rv> failure;
    auto lease = KMS_TRY(pool_->Acquire(deadline, failure));
    ScopedLock exclusive(objects_);
    object = KMS_TRY(EnsureSigningKey(lease.session(), negotiated_.reports_local));
    if (object.made) KMS_TRY(BackUp(deadline));
  }
  Result<std::unique_ptr<Signer>> signer = NotFound("libp11 has no session");
  if (tenant_->is_settled()) signer = Signer::Open(*tenant_, object.id);
  if (!signer.has_value() && signer.error().code == ErrorCode::kNotFound) {
    std::optional<Rv> failure;
    auto lease = KMS_TRY(pool_->Acquire(deadline, failure));
    signer = Signer::OpenWithoutLibp11(*pool_, lease.session(), object.id);
  }
  signer_ = KMS_TRY(std::move(signer));
  return signer_.get();
}

Status Connection::BackUp(Deadline deadline) const {
  if (!IsSoftHsm()) return Ok();
  const std::string tokens = KMS_TRY(SoftHsmTokenDirectory(options_.softhsm_config));
  const auto file_lock = KMS_TRY(LockLogin(deadline));
  return BackUpTokens(tokens, options_.softhsm_state_directory);
}

Rv Connection::CheckPresent() const {
  TokenFacts now;
  const Rv rv = module_.ReadToken(facts_.slot, now);
  if (!rv.ok()) return rv;
  if (now.label != facts_.label || now.serial != facts_.serial) {
    return {CKR_TOKEN_NOT_PRESENT, "C_GetTokenInfo: another token"};
  }
  return rv;
}

}  // namespace kms::pkcs11
