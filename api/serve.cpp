// SPDX-License-Identifier: Apache-2.0
// The rooms are declared in the order they depend on each other; they end in reverse.
#include "api/serve.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "api/audit_head.h"
#include "api/epoch_keeper.h"
#include "api/front/server.h"
#include "api/handlers/route_table.h"
#include "api/keepers.h"
#include "api/lease_keepers.h"
#include "api/open_environments.h"
#include "api/outbound/https_fetcher.h"
#include "api/pipeline/audit_gate.h"
#include "api/pipeline/pipeline.h"
#include "api/process.h"
#include "api/recovery_notice.h"
#include "api/service_log.h"
#include "api/service_options.h"
#include "api/task_options.h"
#include "api/token_fleet.h"
#include "api/token_options.h"
#include "kms/audit/chained_audit_log.h"
#include "kms/backup/backups.h"
#include "kms/backup/restore_store.h"
#include "kms/backup/store_guard.h"
#include "kms/base/clock.h"
#include "kms/base/secret_source.h"
#include "kms/identity/identity.h"
#include "kms/master/hsm_registry.h"
#include "kms/operations/environments.h"
#include "kms/operations/usage.h"
#include "kms/store/sqlite_store.h"
#include "kms/tasks/task_runner.h"

namespace kms::api {

namespace {

// SIGTERM is obeyed within five seconds whatever hangs.
constexpr Milliseconds kLongestStop{4800};
constexpr Milliseconds kReturnTimeout{200};
// Of one HSM call meanwhile; a token that takes longer is not waited for again.
constexpr Milliseconds kHsmPatience{1500};
constexpr int kExitCutShort = 70;

static_assert(LimitsConfig{}.max_encryptions_per_version == kMaxEncryptionsPerVersion);

static_assert(kForever == kLeaseForever);

// What an operator should hear of at once, and how often there was such a thing.
class HsmAlarms {
 public:
  void Raise(std::string_view what) {
    ++count_;
    LogWarning(std::string(what));
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  std::atomic<std::uint64_t> count_{0};
};

EnvironmentsOptions EnvironmentsOptionsFrom(const Config& config, AuditLog& audit,
                                            HsmAlarms& alarms) {
  EnvironmentsOptions options;
  options.hsm_timeout = config.hsm.call_timeout;
  options.lease_interval = config.lease.interval;
  options.lease_grace = config.lease.grace;
  options.limits.max_warm_keys = config.limits.max_warm_keys;
  options.limits.max_encryptions_per_version = config.limits.max_encryptions_per_version;
  options.audit = &audit;
  options.alarm = [&alarms](std::string_view what) { alarms.Raise(what); };
  return options;
}

// The store's newest revision, known without asking it. Thread rule: any thread.
class RevisionWatch {
 public:
  // Call before other threads use `store`.
  static Result<std::shared_ptr<RevisionWatch>> Watch(Store& store) {
    auto watch = std::make_shared<RevisionWatch>();
    watch->revision_ = KMS_TRY(store.CurrentRevision());
    store.Subscribe([watch](Revision revision, const std::vector<std::string>& /*paths*/) {
      watch->revision_.store(revision, std::memory_order_relaxed);
    });
    return watch;
  }
  [[nodiscard]] Revision revision() const { return revision_.load(std::memory_order_relaxed); }

 private:
  std::atomic<Revision> revision_{0};
};

Result<std::unique_ptr<ChainedAuditLog>> OpenAuditLog(const AuditConfig& config,
                                                      std::shared_ptr<RevisionWatch> watch,
                                                      const Clock& clock) {
  AuditOptions options;
  options.store_revision = [watch = std::move(watch)] { return watch->revision(); };
  options.path = config.path;
  options.durability =
      config.durability == "fsync" ? AuditDurability::kFsync : AuditDurability::kWrite;
  return ChainedAuditLog::Open(std::move(options), clock);
}

Result<std::unique_ptr<Identity>> OpenIdentity(const AuthConfig& config, bool forget_tokens,
                                               Environments& environments, const Clock& clock,
                                               DocumentFetcher& fetcher) {
  const SecretBytes token = KMS_TRY(ReadSecret(SecretSourceFrom(config.root_token), "root token"));
  IdentityOptions options;
  options.root_token = AsText(token.View());
  options.forget_tokens = forget_tokens;
  options.fetcher = &fetcher;
  options.tokens.default_ttl_seconds =
      std::chrono::duration_cast<std::chrono::seconds>(config.default_token_ttl).count();
  options.tokens.max_ttl_seconds =
      std::chrono::duration_cast<std::chrono::seconds>(config.max_token_ttl).count();
  return Identity::Open(environments.sys()->store(), clock, options);
}

Status EnsureEnvironments(Environments& environments,
                          const std::vector<InitialEnvironment>& wanted) {
  for (const InitialEnvironment& initial : wanted) {
    if (environments.Find(initial.name) != nullptr) {
      continue;
    }
    const EnvironmentName name = KMS_TRY(EnvironmentName::Parse(initial.name));
    CreateEnvironmentRequest request;
    request.settings.is_protected = initial.is_protected;
    request.settings.disable_upsert = initial.disable_upsert;
    const Result<std::shared_ptr<Environment>> made = environments.Create(name, request);
    if (!made.has_value()) {
      return made.error();
    }
    LogInfo("made environment " + std::string{initial.name});
  }
  return Ok();
}

// Once, and calmly where it does not matter.
void TellWhatCannotBeRecovered(const Environments& environments, bool is_dev) {
  const std::string notice = RecoveryNotice(environments);
  if (notice.empty()) {
    return;
  }
  if (is_dev) {
    LogInfo(notice);
  } else {
    LogWarning(notice);
  }
}

StoreGuardOptions StoreGuardOptionsFrom(const Config& config, const ServeOptions& options) {
  return {.accept_rollback = options.accept_rollback,
          .hsm_timeout = config.hsm.call_timeout,
          .alarm = [](std::string_view what) { LogWarning(std::string(what)); }};
}

BackupsOptions BackupsOptionsFrom(const Config& config, SqliteStore& store, StoreGuard& guard) {
  const std::filesystem::path path(config.store.path);
  const std::string directory = path.parent_path().string();
  return {.copy_store = [&store](const std::string& copy) { return store.CopyTo(copy); },
          .directory = directory.empty() ? "." : directory,
          .store_name = path.filename().string(),
          .epochs = &guard.epochs()};
}

// What a backup or a restore that was killed left beside the store, which nobody else has open.
void RemoveLeftovers(const Config& config, const BackupsOptions& backups) {
  RemoveInterruptedCopies(backups);
  RemoveInterruptedRestore(config.store.path);
}

// Ends the process when an orderly stop takes too long: the exit status says that it was cut short.
void LimitStop() {
  std::thread([] {
    std::this_thread::sleep_for(kLongestStop);
    ::_exit(kExitCutShort);
  }).detach();
}

std::string UrlOf(const Config& config, std::uint16_t port) {
  const std::string& address = config.listener.address;
  const char* scheme = config.listener.tls_certificate.empty() ? "http://" : "https://";
  return scheme + address.substr(0, address.rfind(':') + 1) + std::to_string(port);
}

using HsmReload = std::function<Result<HsmChanges>(bool dry_run)>;

std::vector<std::string> UsersOf(const Environments& environments, std::string_view hsm) {
  std::vector<std::string> names;
  for (const EnvironmentStatus& status : environments.Statuses()) {
    if (std::ranges::find(status.members, hsm, &MemberStatus::hsm) != status.members.end()) {
      names.push_back(status.name);
    }
  }
  return names;
}

HsmReload ReloadFrom(const ServeOptions& options, TokenFleet& fleet,
                     const Environments& environments, LeaseKeepers& leases) {
  if (!options.reload_config) {
    return {};
  }
  return [&options, &fleet, &environments, &leases](bool dry_run) -> Result<HsmChanges> {
    const Config config = KMS_TRY(options.reload_config());
    const auto users = [&environments](std::string_view hsm) { return UsersOf(environments, hsm); };
    HsmChanges changes = KMS_TRY(fleet.Apply(AllHsms(config), users, dry_run));
    if (!dry_run) {
      leases.Follow();
    }
    return changes;
  };
}

struct HangupTargets {
  ChainedAuditLog& audit;
  HttpServer& server;
  const HsmReload& reload_hsms;
};

// SIGHUP: the audit file may have been rotated away, the certificate replaced, tokens added.
void OnHangup(void* context) {
  auto& targets = *static_cast<HangupTargets*>(context);
  targets.audit.Reopen();
  const Status reloaded = targets.server.ReloadTls();
  if (!reloaded.has_value()) {
    LogError("the TLS certificate was not reloaded; the old one stays", reloaded.error());
  }
  LogInfo("reopened the audit log and reloaded the certificate");
  if (!targets.reload_hsms) {
    return;
  }
  const Result<HsmChanges> changes = targets.reload_hsms(false);
  if (!changes.has_value()) {
    LogError("the HSM tokens were not reloaded; they stay as they are", changes.error());
    return;
  }
  LogInfo("reloaded the HSM tokens: " + std::to_string(changes->added.size()) + " added, " +
          std::to_string(changes->removed.size()) + " removed, " +
          std::to_string(changes->changed.size()) + " changed, " +
          std::to_string(changes->restarted.size()) + " begun again");
}

}  // namespace

Status Serve(const Config& config, const ServeOptions& options) {
  const FrontOptions front = KMS_TRY(FrontOptionsFrom(config));
  const SystemClock clock;
  const std::unique_ptr<SqliteStore> store = KMS_TRY(SqliteStore::Open(config.store.path));
  HsmRegistry hsms(clock);
  TokenFleet fleet(hsms, config.threads.workers);
  KMS_TRY(fleet.Apply(AllHsms(config), {}));
  const std::shared_ptr<RevisionWatch> watch = KMS_TRY(RevisionWatch::Watch(*store));
  const std::unique_ptr<ChainedAuditLog> audit =
      KMS_TRY(OpenAuditLog(config.audit, watch, clock));
  HsmAlarms alarms;
  std::unique_ptr<StoreGuard> guard;
  const StoreJudge judge = [&]() -> Status {
    if (guard == nullptr) {
      guard = KMS_TRY(StoreGuard::Judge(*store, hsms, *audit, StoreGuardOptionsFrom(config, options)));
    }
    return Ok();
  };
  const std::unique_ptr<Environments> environments =
      KMS_TRY(OpenEnvironments(config, fleet, *store, hsms, clock,
                               EnvironmentsOptionsFrom(config, *audit, alarms), judge));
  HttpsFetcher fetcher;
  const std::unique_ptr<Identity> identity =
      KMS_TRY(OpenIdentity(config.auth, guard->rolled_back(), *environments, clock, fetcher));
  KMS_TRY(guard->Settle(*environments));
  Limits limits(KMS_TRY(TrustedProxiesFrom(config.listener)));
  identity->limit_settings().Attach(limits);
  KMS_TRY(EnsureEnvironments(*environments, options.environments));
  TellWhatCannotBeRecovered(*environments, /*is_dev=*/!options.environments.empty());
  SignAuditHead(*audit, *environments, clock, guard->Statement());
  BackupsOptions backups_options = BackupsOptionsFrom(config, *store, *guard);
  RemoveLeftovers(config, backups_options);
  Backups backups(*store, *environments, clock, std::move(backups_options));
  LeaseKeepers leases(*environments);
  const HsmReload reload_hsms = ReloadFrom(options, fleet, *environments, leases);

  const std::unique_ptr<TaskRunner> tasks = KMS_TRY(
      TaskRunner::Open(*environments, clock, TaskRunnerOptionsFrom(config, *audit, *environments)));
  Scrub scrub(*environments, clock, ScrubOptionsFrom(config, *audit, *guard, *environments));
  PipelineOptions pipeline_options = PipelineOptionsFrom(config);
  pipeline_options.reload_hsms = reload_hsms;
  pipeline_options.hsm_alarms = [&alarms] { return alarms.count(); };
  Pipeline pipeline(RouteTable(), Services{*environments, *audit, *identity, limits, clock,
                                           std::move(pipeline_options), tasks.get(), &backups,
                                           &scrub});
  AuditGate gate(*audit);
  const std::unique_ptr<HttpServer> server = KMS_TRY(HttpServer::Start(front, pipeline, gate));
  const std::string url = UrlOf(config, server->port());
  LogInfo("listening on " + url);
  if (options.on_listening) {
    options.on_listening(url);
  }

  int signal = 0;
  {
    std::optional<RotationKeeper> rotations(std::in_place, *environments,
                                            config.rotation.check_interval);
    std::optional<EpochKeeper> epochs(std::in_place, *guard, *environments, [&] {
      SignAuditHead(*audit, *environments, clock, guard->Statement());
    });
    const TidyKeeper tidy(*identity, config.auth.tidy_interval);
    std::optional<ScrubKeeper> scrubbing(std::in_place, scrub);
    tasks->Start();
    HangupTargets targets{*audit, *server, reload_hsms};
    signal = AwaitStopSignal(OnHangup, &targets);
    LimitStop();
    fleet.LimitCalls(kHsmPatience);
    LogInfo(signal == SIGTERM ? "stopping on SIGTERM" : "stopping on SIGINT");
    const DrainReport drained =
        server->Drain(std::chrono::steady_clock::now() + config.limits.drain_timeout);
    rotations.reset();  // what they record belongs before the signed head
    epochs.reset();
    scrubbing.reset();
    tasks->Stop();
    for (const std::shared_ptr<Environment>& environment : environments->List()) {
      ReturnLeases(*environment, clock.SteadyNow() + kReturnTimeout);
    }
    guard->Raise(*environments);
    SignAuditHead(*audit, *environments, clock, guard->Statement());
    if (drained.cut_connections + drained.busy_workers > 0) {
      LogWarning("cut " + std::to_string(drained.cut_connections) + " connections; " +
                 std::to_string(drained.busy_workers) + " requests were still running");
    }
    if (drained.busy_workers > 0) {  // they use what the destructors would take away
      StopServiceLog();
      ::_exit(kExitCutShort);
    }
  }
  LogInfo("stopped");
  StopServiceLog();
  return Ok();
}

}  // namespace kms::api
