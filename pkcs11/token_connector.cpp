// SPDX-License-Identifier: Apache-2.0
// The thread that walks the state machine: connects, probes, and reconnects.
#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "pkcs11/token_impl.h"

namespace kms::pkcs11 {
namespace {

constexpr auto kStableAfter = std::chrono::seconds(5);
constexpr unsigned kProbesBeforeReconnect = 2;

SteadyTime Now() { return std::chrono::steady_clock::now(); }

bool IsConnecting(ConnectionState state) {
  return state == ConnectionState::kInit || state == ConnectionState::kFind ||
         state == ConnectionState::kLogin || state == ConnectionState::kBind;
}

bool Includes(const std::vector<WrapProfile>& profiles, WrapMechanism mechanism) {
  return std::ranges::find(profiles, mechanism, &WrapProfile::mechanism) != profiles.end();
}

}  // namespace

Token::Impl::Impl(std::unique_ptr<Module> module, TokenOptions options, TokenTimings timings)
    : module_(std::move(module)),
      options_(std::move(options)),
      timings_(timings),
      pin_reader_(options_.pin),
      refused_pin_(options_),
      connector_([this] { Loop(); }) {}

Token::Impl::~Impl() {
  {
    ScopedLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  connector_.join();
}

void Token::Impl::Loop() {
  ConnectionState state = ConnectionState::kDown;
  while (true) {
    {
      ScopedLock lock(mutex_);
      state_ = state;
      refused_ = state == ConnectionState::kFatalConfig || (refused_ && IsConnecting(state));
      if (stopping_) break;
    }
    changed_.notify_all();
    state = Next(state, Step(state));
  }
  std::unique_ptr<Connection> last;
  {
    ScopedLock lock(mutex_);
    state_ = ConnectionState::kDown;
    while (!under_way_.empty()) changed_.wait(mutex_);
    last = std::move(connection_);
  }
}

ConnectionEvent Token::Impl::Step(ConnectionState state) {
  switch (state) {
    case ConnectionState::kDown: return ConnectionEvent::kDone;
    case ConnectionState::kInit: return StepInit();
    case ConnectionState::kFind:
      // What was lost once may fail again, and libp11 0.4.12 never returns when its session does (H8).
      return Judged(connecting_->Find(/*with_libp11=*/logins_.load() == 0));
    case ConnectionState::kLogin: return StepLogin();
    case ConnectionState::kBind: return StepBind();
    case ConnectionState::kReady: return StepReady();
    case ConnectionState::kDrain: return StepDrain();
    case ConnectionState::kTeardown: return StepTeardown();
    case ConnectionState::kBackoff: return StepBackoff();
    case ConnectionState::kLockedOut: return StepLockedOut();
    case ConnectionState::kFatalConfig: return StepFatalConfig();
    case ConnectionState::kStuck: Pause(timings_.longest_backoff); return ConnectionEvent::kDone;
  }
  return ConnectionEvent::kDone;
}

ConnectionEvent Token::Impl::Judged(const Status& status) {
  if (status.has_value()) return ConnectionEvent::kDone;
  const Error& error = status.error();
  SetReason(error.public_message + (error.detail.empty() ? "" : " (" + error.detail + ")"));
  return error.code == ErrorCode::kFailedPrecondition ? ConnectionEvent::kMisconfigured
                                                      : ConnectionEvent::kDeviceFailed;
}

ConnectionEvent Token::Impl::StepInit() {
  const Deadline limit = Now() + timings_.connect_limit;
  {
    ScopedLock lock(mutex_);
    connector_limit_ = limit;
    reconnect_requested_ = false;
  }
  if (!options_.softhsm_state_directory.empty() && owner_lock_ == nullptr) {
    auto owned = FileLock::Acquire(
        OwnerLockPath(options_.softhsm_state_directory, options_.token_label), Now());
    if (!owned.has_value()) return Judged(owned.error());
    owner_lock_ = std::move(*owned);
  }
  connecting_ = std::make_unique<Connection>(*module_, options_);
  return Judged(connecting_->Initialize(limit));
}

ConnectionEvent Token::Impl::StepLogin() {
  const auto pin = ReadUntriedPin();
  if (!pin.has_value()) {
    static_cast<void>(Judged(pin.error()));
    return pin.error().code == ErrorCode::kFailedPrecondition ? ConnectionEvent::kPinRefused
                                                              : ConnectionEvent::kDeviceFailed;
  }
  PinVerdict verdict = PinVerdict::kNotRefused;
  const bool attempt_was_cut = BeginLogin();
  const Status status = connecting_->Login(*pin, attempt_was_cut, verdict);
  EndLogin(*pin, verdict, status.has_value());
  const ConnectionEvent event = Judged(status);
  return verdict == PinVerdict::kNotRefused ? event : ConnectionEvent::kPinRefused;
}

ConnectionEvent Token::Impl::StepBind() {
  const ConnectionEvent event = Judged(connecting_->Bind(proven_));
  if (event != ConnectionEvent::kDone) return event;
  for (const WrapProfile& profile : connecting_->negotiated().usable) {
    if (!Includes(proven_, profile.mechanism)) proven_.push_back(profile);
  }
  ready_since_ = Now();
  failed_probes_ = 0;
  ScopedLock lock(mutex_);
  connection_ = std::move(connecting_);
  connector_limit_.reset();
  reason_.clear();
  return event;
}

ConnectionEvent Token::Impl::StepReady() {
  {
    ScopedLock lock(mutex_);
    const Deadline next_probe = Now() + timings_.probe_interval;
    while (!reconnect_requested_ && !stopping_ &&
           changed_.wait_until(mutex_, next_probe) == std::cv_status::no_timeout) {
    }
    if (stopping_) return ConnectionEvent::kDone;
    if (reconnect_requested_) return ConnectionEvent::kDeviceFailed;
  }
  if (Now() - ready_since_ > kStableAfter) attempt_ = 0;
  ProbeKnownMasters();
  if (LostMechanismIsBack()) return ConnectionEvent::kDeviceFailed;
  if (failed_probes_ < kProbesBeforeReconnect) return ConnectionEvent::kDone;
  SetReason("the HSM answers no health probe; it is being reconnected");
  return ConnectionEvent::kDeviceFailed;
}

// Whether an RSA key is being made: many a library lets nothing else in for as long as that takes.
bool Token::Impl::MakesRsaKey() {
  if (!import_key_mutex_.try_lock()) {
    return true;
  }
  import_key_mutex_.unlock();
  return false;
}

// One sentinel of every key that calls have used; without any, the token itself. What is not
// answered because a key is being made does not count: that call has a deadline of its own.
void Token::Impl::ProbeKnownMasters() {
  const bool was_making_a_key = MakesRsaKey();
  const Deadline deadline = Now() + timings_.probe_deadline;
  std::vector<MasterKeyRecord> records;
  {
    ScopedLock lock(mutex_);
    for (const auto& [id, record] : known_masters_) records.push_back(record);
  }
  bool answered = true;
  for (const MasterKeyRecord& record : records) {
    const Status opened =
        RunAttempts({.deadline = deadline, .master = &record, .opens_blob = true},
                    [&](const CallContext& context) {
                      return OpenSentinel(context.session, context.master, record);
                    });
    answered = answered && (opened.has_value() || opened.error().code != ErrorCode::kUnavailable);
  }
  if (records.empty()) {
    const auto admission = Admit(deadline);
    answered = !admission.has_value() || admission->connection().CheckPresent().ok();
  }
  if (answered) {
    failed_probes_ = 0;
  } else if (!was_making_a_key && !MakesRsaKey()) {
    ++failed_probes_;
  }
}

bool Token::Impl::LostMechanismIsBack() {
  if (Now() < next_look_) return false;
  next_look_ = Now() + timings_.refused_pause;
  const auto admission = Admit(Now() + timings_.probe_deadline);
  if (!admission.has_value()) return false;
  Connection& connection = admission->connection();
  for (const WrapProfile& profile : proven_) {
    if (Includes(connection.negotiated().usable, profile.mechanism)) continue;
    // Some tokens make the key of the test as an object.
    ScopedLock exclusive(connection.objects());
    if (!connection.Prove(profile).has_value()) continue;
    SetReason("the HSM token does " + std::string(WrapMechanismName(profile.mechanism)) +
              " again; it is being reconnected");
    return true;
  }
  return false;
}

ConnectionEvent Token::Impl::StepDrain() {
  const Deadline deadline = Now() + timings_.drain_deadline;
  ScopedLock lock(mutex_);
  while (!under_way_.empty()) {
    if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout && !under_way_.empty()) {
      reason_ = "a call does not return from the HSM module; the worker must end";
      return ConnectionEvent::kDrainTimedOut;
    }
  }
  connecting_ = std::move(connection_);
  // A token that opened our keys and comes back as another one is not ours. One that never did may
  // itself be the wrong one.
  if (!known_masters_.empty()) options_.token_serial = connecting_->facts().serial;
  return ConnectionEvent::kDone;
}

ConnectionEvent Token::Impl::StepTeardown() {
  {
    ScopedLock lock(mutex_);
    connector_limit_ = Now() + timings_.connect_limit;
  }
  connecting_.reset();
  ScopedLock lock(mutex_);
  connector_limit_.reset();
  return ConnectionEvent::kDone;
}

ConnectionEvent Token::Impl::StepBackoff() {
  Pause(BackoffPause(attempt_, timings_.first_backoff, timings_.longest_backoff));
  ++attempt_;
  return ConnectionEvent::kDone;
}

// Lets go of the module and its locks, which neighbours may need, and looks again later: once an
// operator has switched a mechanism on again (H21) or relabelled a token, no restart is needed.
ConnectionEvent Token::Impl::StepFatalConfig() {
  StepTeardown();
  Pause(timings_.refused_pause);
  return ConnectionEvent::kDone;
}

ConnectionEvent Token::Impl::StepLockedOut() {
  StepTeardown();
  if (Pause(timings_.pin_poll_interval)) return ConnectionEvent::kDone;
  const auto pin = ReadUntriedPin();
  return pin.has_value() ? ConnectionEvent::kPinChanged : ConnectionEvent::kDone;
}

void Token::Impl::SetReason(const std::string& reason) {
  ScopedLock lock(mutex_);
  reason_ = reason;
}

bool Token::Impl::Pause(std::chrono::milliseconds pause) {
  const Deadline deadline = Now() + pause;
  ScopedLock lock(mutex_);
  while (!stopping_ && changed_.wait_until(mutex_, deadline) == std::cv_status::no_timeout) {
  }
  return stopping_;
}

Result<SecretBytes> Token::Impl::ReadUntriedPin() {
  ScopedLock lock(pin_mutex_);
  SecretBytes pin = KMS_TRY(pin_reader_.Read());
  if (refused_pin_.Matches(pin)) {
    return FailedPrecondition(
        "the HSM refused the PIN and is not asked again; put the right PIN into its source",
        refused_pin_.file().empty()
            ? ""
            : "or remove " + refused_pin_.file() + " when the token takes it now");
  }
  return pin;
}

bool Token::Impl::BeginLogin() {
  ScopedLock lock(pin_mutex_);
  const bool cut = refused_pin_.AttemptWasCut();
  refused_pin_.BeginAttempt();
  return cut;
}

void Token::Impl::EndLogin(const SecretBytes& pin, PinVerdict verdict, bool logged_in) {
  ScopedLock lock(pin_mutex_);
  if (logged_in) {
    logins_.fetch_add(1);
    refused_pin_.Forget();
  } else if (verdict != PinVerdict::kNotRefused) {
    refused_pin_.Remember(pin, verdict == PinVerdict::kWrong);
  }
  refused_pin_.EndAttempt();
}

}  // namespace kms::pkcs11
