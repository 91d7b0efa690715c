// SPDX-License-Identifier: Apache-2.0
// The driver of every call: admission, lease, attempts, and what to do about each failure.
#include <chrono>
#include <utility>

#include "pkcs11/token_impl.h"

namespace kms::pkcs11 {
namespace {

// A call is several calls of the module: another loss may meet it after the first was made good.
constexpr unsigned kSessionRetries = 2;
constexpr unsigned kLoginRetries = 2;
constexpr unsigned kAmbiguousRetries = 2;

SteadyTime Now() { return std::chrono::steady_clock::now(); }

Error TooLate() { return Unavailable("the HSM call's deadline has passed; retry later"); }

// The error for a caller while the device does not serve.
Error NotReady(DeviceState state, const std::string& reason) {
  const std::string why = reason.empty() ? "the HSM is being connected" : reason;
  if (state == DeviceState::kLockedOut) {
    return FailedPrecondition("the HSM login was refused; an operator must act", why);
  }
  if (state == DeviceState::kFatalConfig) {
    return FailedPrecondition("the HSM token is misconfigured; an operator must act", why);
  }
  return Unavailable("the HSM is away; it is being reconnected, retry later", why);
}

Error DamagedBlob(const Error& error) { return WrapDoesNotOpen(error.detail); }

// Whether the recorded key still opens its sentinel, in a session of its own.
bool SentinelOpens(Connection& connection, const MasterKeyRecord* master, Deadline deadline) {
  if (master == nullptr) return false;
  std::optional<Rv> failure;
  auto lease = connection.pool().Acquire(deadline, failure);
  if (!lease.has_value()) return false;
  const auto handle = FindMasterKeyObject(lease->session(), master->id);
  return handle.has_value() && OpenSentinel(lease->session(), *handle, *master).has_value();
}

// A wrap and an unwrap of the moment: do they fit, whatever the recorded sentinel says?
bool OpensItsOwnWraps(Session& session, CK_OBJECT_HANDLE handle, const MasterKeyRecord& record) {
  const WrappingKey key{
      .handle = handle, .profile = ProfileOf(record), .public_key = record.public_key};
  const auto wrapped = WrapSentinel(session, key, record.id);
  if (!wrapped.has_value()) return false;
  const auto opened = UnwrapUnder(session, key, *wrapped, SentinelContext(record.id));
  return opened.has_value() && EqualInConstantTime(opened->View(), SentinelValue(record.id));
}

}  // namespace

Result<Token::Impl::Admission> Token::Impl::Admit(Deadline deadline) {
  ScopedLock lock(mutex_);
  if (Now() >= deadline) return TooLate();
  if (state_ != ConnectionState::kReady || reconnect_requested_ || connection_ == nullptr) {
    return NotReady(PublicStateLocked(), reason_);
  }
  return Admission(*this, *connection_, under_way_.insert(under_way_.end(), deadline));
}

void Token::Impl::Leave(std::list<Deadline>::iterator entry) {
  ScopedLock lock(mutex_);
  under_way_.erase(entry);
  if (under_way_.empty()) changed_.notify_all();
}

Status Token::Impl::AwaitReady(Deadline deadline) {
  ScopedLock lock(mutex_);
  while (true) {
    const DeviceState state = PublicStateLocked();
    if (state == DeviceState::kReady && !reconnect_requested_) return Ok();
    const bool only_operator =
        state == DeviceState::kLockedOut || state == DeviceState::kFatalConfig;
    if (only_operator || stopping_) return NotReady(state, reason_);
    if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout && Now() >= deadline) {
      return NotReady(state, reason_);
    }
  }
}

// One that is looked at again stays refused until that ends well, or the device fails.
DeviceState Token::Impl::PublicStateLocked() const {
  return refused_ ? DeviceState::kFatalConfig : PublicState(state_);
}

bool Token::Impl::stuck() const {
  const SteadyTime now = Now();
  ScopedLock lock(mutex_);
  if (state_ == ConnectionState::kStuck) return true;
  if (connector_limit_.has_value() && now > *connector_limit_ + timings_.stuck_grace) return true;
  for (const Deadline deadline : under_way_) {
    if (now > deadline + timings_.stuck_grace) return true;
  }
  return false;
}

DeviceStatistics Token::Impl::Statistics() const {
  const SteadyTime now = Now();
  const std::uint64_t logins = logins_.load();
  DeviceStatistics statistics;
  statistics.calls = calls_.load();
  statistics.failed_calls = failed_calls_.load();
  statistics.reconnects = logins == 0 ? 0 : logins - 1;
  ScopedLock lock(mutex_);
  statistics.state = PublicStateLocked();
  if (statistics.state != DeviceState::kReady) {
    statistics.state_reason = reason_.empty() ? ConnectionStateName(state_) : reason_;
  }
  for (const Deadline deadline : under_way_) statistics.abandoned_calls += now > deadline ? 1U : 0U;
  if (connection_ != nullptr) {
    const SessionPool::Gauge gauge = connection_->pool().gauge();
    statistics.sessions_open = gauge.open;
    statistics.sessions_in_use = gauge.in_use;
    statistics.requests_waiting = gauge.waiting;
  }
  return statistics;
}

Status Token::Impl::Run(const CallPlan& plan, const Operation& operation) {
  calls_.fetch_add(1);
  Status status = RunAttempts(plan, operation);
  if (!status.has_value()) failed_calls_.fetch_add(1);
  return status;
}

Status Token::Impl::RunAttempts(const CallPlan& plan, const Operation& operation) {
  Retries retries;
  while (true) {
    Admission admission = KMS_TRY(Admit(plan.deadline));
    const Attempt attempt = TryOnce(admission.connection(), plan, operation);
    if (attempt.status.has_value()) {
      if (plan.master != nullptr && !plan.changes_objects) Remember(*plan.master);
      if (plan.import_key != nullptr) ForgetMissing(*plan.import_key);
      return attempt.status;
    }
    KMS_TRY(Judge(std::move(admission), plan, attempt, retries));
  }
}

Token::Impl::Attempt Token::Impl::TryOnce(Connection& connection, const CallPlan& plan,
                                          const Operation& operation) {
  Attempt attempt;
  auto lease = connection.pool().Acquire(plan.deadline, attempt.failure);
  if (!lease.has_value()) {
    attempt.status = lease.error();
    return attempt;
  }
  const CallContext context{
      .connection = connection, .session = lease->session(), .master = CK_INVALID_HANDLE};
  if (plan.locks_objects) {
    attempt.login_epoch = connection.login_epoch();
    attempt.status = TryWithSession(plan, operation, context);
  } else if (plan.changes_objects) {
    ScopedLock exclusive(connection.objects());
    attempt.login_epoch = connection.login_epoch();
    attempt.status = TryWithSession(plan, operation, context);
  } else {
    ScopedSharedLock shared(connection.objects());
    attempt.login_epoch = connection.login_epoch();
    attempt.status = TryWithSession(plan, operation, context);
  }
  attempt.failure = lease->session().failure();
  return attempt;
}

Status Token::Impl::TryWithSession(const CallPlan& plan, const Operation& operation,
                                   const CallContext& context) {
  CallContext bound = context;
  if (plan.master != nullptr) {
    bound.master = KMS_TRY(context.connection.BindKey(context.session, *plan.master));
  }
  return operation(bound);
}

Status Token::Impl::Judge(Admission admission, const CallPlan& plan, const Attempt& attempt,
                          Retries& retries) {
  const Error& error = attempt.status.error();
  Connection& connection = admission.connection();
  // The caller's input, whatever a token says of it.
  if (error.code == ErrorCode::kInvalidArgument || error.code == ErrorCode::kDecryptionFailed) {
    return error;
  }
  if (!attempt.failure.has_value()) {
    if (error.code == ErrorCode::kNotFound) {
      return JudgeMissing(std::move(admission), plan, error, retries);
    }
    return error;
  }
  switch (attempt.failure->kind()) {
    case RvKind::kOk:
    case RvKind::kIntegrity:
    case RvKind::kBusy:
    case RvKind::kAuth: return error;
    case RvKind::kPolicy:
      // NSS calls a damaged RSA blob a bad argument.
      if (plan.opens_blob && SentinelOpens(connection, plan.master, plan.deadline)) {
        return DamagedBlob(error);
      }
      return error;
    case RvKind::kSession:
      if (retries.sessions++ < kSessionRetries) return Ok();
      return error;
    case RvKind::kKeyHandle:
      if (plan.master != nullptr) connection.ForgetKey(plan.master->id);
      if (retries.handles++ == 0) return Ok();
      RequestReconnect(connection, "key handles do not last");
      return error;
    case RvKind::kLogin:
      if (retries.logins++ < kLoginRetries) return LoginAgain(connection, attempt.login_epoch);
      RequestReconnect(connection, "the login does not last");
      return error;
    case RvKind::kDevice:
      if (!MustReconnect(connection, plan, *attempt.failure)) return error;
      RequestReconnect(connection, error.detail);
      return error;
    case RvKind::kAmbiguous:
      if (retries.ambiguous++ < kAmbiguousRetries) return Ok();
      return JudgeAmbiguous(connection, plan, error);
  }
  return error;
}

// Some tokens call anything a device error that they cannot do: one caller must not have the
// connection of all others torn down again and again while the token serves them.
bool Token::Impl::MustReconnect(Connection& connection, const CallPlan& plan, const Rv& failure) {
  if (failure.value != CKR_DEVICE_ERROR) return true;
  std::optional<MasterKeyRecord> known;
  {
    ScopedLock lock(mutex_);
    if (reconnects_.Spend(Now())) return true;
    if (!known_masters_.empty()) known = known_masters_.begin()->second;
  }
  const MasterKeyRecord* const master = plan.master != nullptr ? plan.master
                                        : known               ? &*known
                                                              : nullptr;
  return !connection.CheckPresent().ok() || !SentinelOpens(connection, master, plan.deadline);
}

// The sentinel decides between a damaged blob and a dead device; a wrap of the moment between a
// dead device and another key under the recorded name (H13).
Status Token::Impl::JudgeAmbiguous(Connection& connection, const CallPlan& plan,
                                   const Error& error) {
  if (!connection.CheckPresent().ok()) {
    RequestReconnect(connection, error.detail);
    return error;
  }
  // The call has tried its import key in vain.
  if (plan.import_key != nullptr) RequestReconnect(connection, error.detail);
  if (plan.master == nullptr) return error;
  if (SentinelOpens(connection, plan.master, plan.deadline)) {
    return plan.opens_blob ? DamagedBlob(error) : error;
  }
  std::optional<Rv> failure;
  auto lease = KMS_TRY(connection.pool().Acquire(plan.deadline, failure));
  const auto handle = FindMasterKeyObject(lease.session(), plan.master->id);
  if (handle.has_value() && OpensItsOwnWraps(lease.session(), *handle, *plan.master)) {
    connection.ForgetKey(plan.master->id);
    return Corrupted("the master key in the HSM is not the recorded one; restore the token from a "
                     "backup",
                     error.detail);
  }
  RequestReconnect(connection, error.detail);
  return error;
}

// Some modules show a key that another process made only after they are initialised anew, and a
// token that went away may just look empty: one reconnection decides.
Status Token::Impl::JudgeMissing(Admission admission, const CallPlan& plan, const Error& error,
                                 Retries& retries) {
  const Uuid* const id = plan.master != nullptr ? &plan.master->id : plan.import_key;
  if (id == nullptr) return error;
  bool first = false;
  {
    ScopedLock lock(mutex_);
    first = missing_keys_.insert(*id).second;
  }
  const Rv present = admission.connection().CheckPresent();
  if ((!first && present.ok()) || retries.missing++ > 0) {
    return FailedPrecondition(
        error.public_message + "; none is made in its place: restore the token from a backup",
        error.detail);
  }
  RequestReconnect(admission.connection(), "a key is not found");
  { const Admission left = std::move(admission); }
  return AwaitReady(plan.deadline);
}

Status Token::Impl::LoginAgain(Connection& connection, std::uint64_t epoch) {
  PinVerdict verdict = PinVerdict::kNotRefused;
  const auto pin = ReadUntriedPin();
  if (!pin.has_value()) {
    RequestReconnect(connection, pin.error().public_message);
    return pin.error();
  }
  const Result<bool> logged_in = connection.LoginAgain(epoch, *pin, verdict);
  EndLogin(*pin, verdict, logged_in.value_or(false));
  if (!logged_in.has_value()) {
    RequestReconnect(connection, logged_in.error().public_message);
    return logged_in.error();
  }
  return Ok();
}

Status Token::Impl::RunOnConnection(
    Deadline deadline,
    const std::function<Status(Connection&)>& operation) {
  calls_.fetch_add(1);
  for (bool last = false;; last = true) {
    auto admission = Admit(deadline);
    const Status status = admission.has_value() ? operation(admission->connection())
                                                : Status(admission.error());
    if (status.has_value()) return status;
    failed_calls_.fetch_add(last || !admission.has_value() ? 1U : 0U);
    const bool transient = status.error().code == ErrorCode::kUnavailable ||
                           status.error().code == ErrorCode::kNotFound;
    if (last || !admission.has_value() || !transient) return status;
    // libp11's keys do not survive a lost login or token: only a new connection helps.
    RequestReconnect(admission->connection(), status.error().detail);
    { const Admission left = std::move(*admission); }
    KMS_TRY(AwaitReady(deadline));
  }
}

void Token::Impl::Remember(const MasterKeyRecord& record) {
  ScopedLock lock(mutex_);
  missing_keys_.erase(record.id);
  const auto [entry, added] = known_masters_.try_emplace(record.id, record);
  if (!added && !(entry->second == record)) entry->second = record;
}

void Token::Impl::ForgetMissing(const Uuid& id) {
  ScopedLock lock(mutex_);
  missing_keys_.erase(id);
}

void Token::Impl::ForgetMaster(const Uuid& id) {
  ScopedLock lock(mutex_);
  known_masters_.erase(id);
  missing_keys_.insert(id);
}

void Token::Impl::RequestReconnect(const Connection& connection, const std::string& reason) {
  {
    ScopedLock lock(mutex_);
    if (connection_.get() != &connection || reconnect_requested_) return;
    reconnect_requested_ = true;
    reason_ = reason;
  }
  changed_.notify_all();
}

}  // namespace kms::pkcs11
