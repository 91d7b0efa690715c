// SPDX-License-Identifier: Apache-2.0
// Token::Impl: the connection and the thread that keeps it, and the driver of every call. Private
// to token*.cpp.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "kms/base/mutex.h"
#include "pkcs11/connection.h"
#include "pkcs11/connection_state.h"
#include "pkcs11/pin.h"
#include "pkcs11/refused_pin.h"
#include "pkcs11/token.h"

namespace kms::pkcs11 {

class Token::Impl {
 public:
  Impl(std::unique_ptr<Module> module, TokenOptions options, TokenTimings timings);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status AwaitReady(Deadline deadline);
  [[nodiscard]] bool stuck() const;
  [[nodiscard]] DeviceStatistics Statistics() const;

  // What a call needs and how its failures are judged.
  struct CallPlan {
    Deadline deadline{};
    const MasterKeyRecord* master = nullptr;  // bound before the call
    const Uuid* import_key = nullptr;  // an import or resident key that the call binds itself
    bool changes_objects = false;      // holds the token's objects exclusively
    bool locks_objects = false;        // locks the token's objects itself
    bool opens_blob = false;           // an ambiguous failure may mean a damaged blob
  };
  struct CallContext {
    Connection& connection;
    Session& session;
    CK_OBJECT_HANDLE master = CK_INVALID_HANDLE;
  };
  using Operation = std::function<Status(const CallContext&)>;

  // Runs `operation` with a leased session; retries what the table of return values says may be
  // retried, so it must be idempotent. Counts as one call.
  Status Run(const CallPlan& plan, const Operation& operation);
  // The same for calls that bring their own session (signing); one retry on a new connection.
  Status RunOnConnection(Deadline deadline, const std::function<Status(Connection&)>& operation);

  // Held while an import key is made.
  [[nodiscard]] std::timed_mutex& import_key_mutex() { return import_key_mutex_; }

  // A key that works: probed from now on.
  void Remember(const MasterKeyRecord& record);
  // A key that is known to be gone: nothing is reconnected for its sake.
  void ForgetMaster(const Uuid& id);

 private:
  // Keeps the connection alive while a call uses it.
  class Admission {
   public:
    Admission(Impl& impl, Connection& connection, std::list<Deadline>::iterator entry)
        : impl_(&impl), connection_(&connection), entry_(entry) {}
    Admission(Admission&& other) noexcept
        : impl_(std::exchange(other.impl_, nullptr)),
          connection_(other.connection_),
          entry_(other.entry_) {}
    Admission& operator=(Admission&&) = delete;
    ~Admission() {
      if (impl_ != nullptr) impl_->Leave(entry_);
    }
    [[nodiscard]] Connection& connection() const { return *connection_; }

   private:
    Impl* impl_;
    Connection* connection_;
    std::list<Deadline>::iterator entry_;
  };
  [[nodiscard]] DeviceState PublicStateLocked() const KMS_REQUIRES(mutex_);
  Result<Admission> Admit(Deadline deadline);
  void Leave(std::list<Deadline>::iterator entry);

  // ---- driver (token_driver.cpp)
  struct Attempt {
    Status status;
    std::optional<Rv> failure;
    std::uint64_t login_epoch = 0;
  };
  // How often each kind of failure was retried already.
  struct Retries {
    unsigned sessions = 0;
    unsigned handles = 0;
    unsigned logins = 0;
    unsigned ambiguous = 0;
    unsigned missing = 0;
  };
  Status RunAttempts(const CallPlan& plan, const Operation& operation);
  Attempt TryOnce(Connection& connection, const CallPlan& plan, const Operation& operation);
  // A key that was missing is not any more.
  void ForgetMissing(const Uuid& id);
  static Status TryWithSession(const CallPlan& plan, const Operation& operation,
                               const CallContext& context);
  // Ok: try again; an error: the call's outcome.
  Status Judge(Admission admission, const CallPlan& plan, const Attempt& attempt, Retries& retries);
  Status JudgeAmbiguous(Connection& connection, const CallPlan& plan, const Error& error);
  Status JudgeMissing(Admission admission, const CallPlan& plan, const Error& error,
                      Retries& retries);
  Status LoginAgain(Connection& connection, std::uint64_t epoch);
  bool MustReconnect(Connection& connection, const CallPlan& plan, const Rv& failure);
  void RequestReconnect(const Connection& connection, const std::string& reason);

  // ---- connector (token_connector.cpp)
  void Loop();
  ConnectionEvent Step(ConnectionState state);
  ConnectionEvent StepInit();
  ConnectionEvent StepLogin();
  ConnectionEvent StepBind();
  ConnectionEvent StepReady();
  ConnectionEvent StepDrain();
  ConnectionEvent StepTeardown();
  ConnectionEvent StepBackoff();
  ConnectionEvent StepFatalConfig();
  ConnectionEvent StepLockedOut();
  ConnectionEvent Judged(const Status& status);
  void ProbeKnownMasters();
  // Whether a mechanism passes its test again that this connection lacks and an earlier one had:
  // the test may have met a fault that has ended.
  bool LostMechanismIsBack();
  bool MakesRsaKey();
  void SetReason(const std::string& reason);
  // Waits for a stop or `pause`; true when stopping.
  bool Pause(std::chrono::milliseconds pause);
  Result<SecretBytes> ReadUntriedPin();
  // Around C_Login. True: an earlier attempt never came back.
  bool BeginLogin();
  void EndLogin(const SecretBytes& pin, PinVerdict verdict, bool logged_in);

  // Constant after construction, except the serial: learnt of a connection whose token opened a
  // master key, by the connector alone while no connection exists.
  const std::unique_ptr<Module> module_;
  TokenOptions options_;
  const TokenTimings timings_;
  std::unique_ptr<FileLock> owner_lock_;  // the connector's

  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> failed_calls_{0};
  std::atomic<std::uint64_t> logins_{0};

  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  ConnectionState state_ KMS_GUARDED_BY(mutex_) = ConnectionState::kDown;
  bool refused_ KMS_GUARDED_BY(mutex_) = false;  // misconfigured, or was when last looked at
  std::string reason_ KMS_GUARDED_BY(mutex_);
  bool stopping_ KMS_GUARDED_BY(mutex_) = false;
  bool reconnect_requested_ KMS_GUARDED_BY(mutex_) = false;
  ReconnectBudget reconnects_ KMS_GUARDED_BY(mutex_);  // for device errors of single calls
  std::unique_ptr<Connection> connection_ KMS_GUARDED_BY(mutex_);
  std::list<Deadline> under_way_ KMS_GUARDED_BY(mutex_);
  std::optional<Deadline> connector_limit_ KMS_GUARDED_BY(mutex_);
  std::map<Uuid, MasterKeyRecord> known_masters_ KMS_GUARDED_BY(mutex_);
  // Keys that a fresh connection does not find either.
  std::set<Uuid> missing_keys_ KMS_GUARDED_BY(mutex_);

  std::timed_mutex import_key_mutex_;

  Mutex pin_mutex_;
  PinReader pin_reader_ KMS_GUARDED_BY(pin_mutex_);
  RefusedPin refused_pin_ KMS_GUARDED_BY(pin_mutex_);

  // The connector's own.
  std::unique_ptr<Connection> connecting_;
  unsigned attempt_ = 0;
  unsigned failed_probes_ = 0;
  std::vector<WrapProfile> proven_;  // by any connection so far
  SteadyTime next_look_{};           // for what was lost of them
  SteadyTime ready_since_{};
  std::thread connector_;
};

}  // namespace kms::pkcs11
