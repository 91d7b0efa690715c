// SPDX-License-Identifier: Apache-2.0
#include "api/recover.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "api/recovery_files.h"
#include "api/service_log.h"
#include "api/token_fleet.h"
#include "kms/audit/chained_audit_log.h"
#include "kms/audit/record.h"
#include "kms/base/clock.h"
#include "kms/master/sealed_store.h"
#include "kms/operations/environment_record.h"
#include "kms/recovery/ceremony.h"
#include "kms/recovery/rebind.h"
#include "kms/store/sqlite_store.h"

namespace kms::api {

namespace {

constexpr std::size_t kProvenEntries = 200;
constexpr Milliseconds kAuditTimeout{10000};
constexpr std::string_view kListed = "environments/";
constexpr std::size_t kMostNamed = 1000;  // lines; the rest is told by its id

void Say(const std::string& line) { std::printf("%s\n", line.c_str()); }

std::string Title(const Uuid& id, const std::string& name) {
  return name.empty() ? "environment " + id.ToString() : name;
}

Result<std::unique_ptr<SqliteStore>> OpenExistingStore(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return NotFound("there is no store at " + path + " to recover");
  }
  return SqliteStore::Open(path);
}

std::string Joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

// ---- begin --------------------------------------------------------------------------------------

std::string DescribeSplit(const RecoverableEnvironment& environment) {
  const SplitKey& split = environment.splits.back();
  std::set<std::string> holders;
  for (const EncryptedShare& share : split.shares) {
    holders.insert(share.holder);
  }
  return Title(environment.id, environment.name) + ": " +
         std::to_string(environment.splits.size()) + " key version(s), " +
         std::to_string(split.threshold) + " of " + std::to_string(split.shares.size()) +
         " holders (" + Joined(holders) + ")";
}

// ---- finish: what is opened ---------------------------------------------------------------------

bool Chosen(const RecoverFinishOptions& options, const std::string& name) {
  return options.environments.empty() ||
         std::ranges::find(options.environments, name) != options.environments.end();
}

Status CheckNames(const RecoverFinishOptions& options,
                  const std::vector<RecoverableEnvironment>& environments) {
  for (const std::string& name : options.environments) {
    if (std::ranges::find(environments, name, &RecoverableEnvironment::name) ==
        environments.end()) {
      return InvalidArgument("no environment with recovery holders is named " + name);
    }
  }
  return Ok();
}

// Those that were chosen and opened; says of every one how it stands.
Result<std::vector<OpenedEnvironment>> TakeOpened(std::vector<OpenedEnvironment> all,
                                                  const RecoverFinishOptions& options) {
  std::vector<OpenedEnvironment> opened;
  std::string refused;
  for (OpenedEnvironment& environment : all) {
    const std::string title = Title(environment.id, environment.name);
    const std::set<std::string> wrong(environment.wrong.begin(), environment.wrong.end());
    if (!wrong.empty()) {
      Say(title + ": WRONG shares came from " + Joined(wrong) +
          ": not what was split for this environment");
    }
    if (environment.name.empty() || !Chosen(options, environment.name)) {
      Say(title + ": left as it is" +
          (environment.name.empty() ? " (" + environment.refusal + ")" : std::string()));
      continue;
    }
    if (!environment.refusal.empty()) {
      refused += (refused.empty() ? "" : "; ") + title + ": " + environment.refusal;
      continue;
    }
    opened.push_back(std::move(environment));
  }
  if (!refused.empty()) {
    return FailedPrecondition("not enough to open everything: " + refused +
                              ". Nothing was changed; ask the others, or name with --env what "
                              "to recover now");
  }
  if (opened.empty()) {
    return FailedPrecondition("there is nothing to recover");
  }
  return opened;
}

// Drops what nothing proves, and says so; an empty environment that was not asked for by name does
// not hold up the others.
Status ProveAll(Store& store, const RecoverFinishOptions& options,
                std::vector<OpenedEnvironment>& opened) {
  std::vector<OpenedEnvironment> proven;
  for (OpenedEnvironment& environment : opened) {
    const KeyProof proof = KMS_TRY(ProveKeys(store, environment, kProvenEntries));
    const Status kept = DropUnproven(proof, environment);
    if (!kept.has_value() && (!options.environments.empty() || opened.size() == 1)) {
      return kept;
    }
    if (!kept.has_value()) {
      Say(environment.name + ": LEFT as it is: " + kept.error().public_message);
      continue;
    }
    for (const EnvironmentKeyVersion version : proof.unproven) {
      Say(environment.name + ": key version " + std::to_string(version) +
          " is DROPPED: nothing is stored under it, so nothing shows that it is the environment's "
          "own");
    }
    Say(environment.name + ": opened by " + Joined(environment.holders) + "; " +
        std::to_string(environment.keys.size()) + " key version(s), proven by " +
        std::to_string(proof.opened) + " stored entries" +
        (proof.damaged > 0 ? ", " + std::to_string(proof.damaged) + " are damaged" : ""));
    proven.push_back(std::move(environment));
  }
  opened = std::move(proven);
  return opened.empty() ? FailedPrecondition("no recovered key is proven by anything stored") : Ok();
}

// Environments without holders have no shares that would carry their names.
Status NameThoseLeftOut(SealedStore& sys, const std::vector<RecoverableEnvironment>& environments) {
  for (const ListedEntry& entry : KMS_TRY(sys.List(kListed, {}, kMostNamed))) {
    const auto found = KMS_TRY(sys.Get(entry.path));
    const auto record = found ? EnvironmentRecord::Decode(found->value.View())
                              : Result<EnvironmentRecord>(NotFound("none"));
    const auto left = record.has_value() ? std::ranges::find(environments, record->identity.id,
                                                             &RecoverableEnvironment::id)
                                         : environments.end();
    if (left != environments.end() && left->name.empty()) {
      Say("environment " + left->id.ToString() + " is " + record->identity.name);
    }
  }
  return Ok();
}

// What `sys` says of the environments, when it was opened too: shares carry a name, but only the
// sealed list is to be believed.
Status CheckAgainstList(Store& store, const OpenedEnvironment& sys,
                        const std::vector<OpenedEnvironment>& opened,
                        const std::vector<RecoverableEnvironment>& environments) {
  std::map<EnvironmentKeyVersion, SecretBytes> keys;
  for (const auto& [version, key] : sys.keys) {
    keys.insert_or_assign(version, KMS_TRY(key.Clone()));
  }
  EnvironmentKeyring keyring;
  KMS_TRY(keyring.Replace(std::move(keys)));
  SealedStore sealed(store, keyring, sys.id);
  for (const OpenedEnvironment& environment : opened) {
    if (environment.id == sys.id) {
      continue;
    }
    const auto entry = KMS_TRY(sealed.Get(std::string(kListed) + environment.name));
    const auto record = entry ? EnvironmentRecord::Decode(entry->value.View())
                              : Result<EnvironmentRecord>(NotFound("none"));
    if (!record.has_value() || record->identity.id != environment.id) {
      return Corrupted("the shares of " + environment.name +
                       " are of an environment that the sealed list does not have under this name; "
                       "somebody changed the store. Leave it out with --env");
    }
  }
  return NameThoseLeftOut(sealed, environments);
}

Result<Uuid> ReadSysId(Store& store) {
  const std::optional<StoredValue> root = KMS_TRY(store.Get("root"));
  if (!root) {
    return FailedPrecondition("this store was never initialised");
  }
  return KMS_TRY(RootRecord::Decode(root->value)).sys_id;
}

// ---- finish: the tokens -------------------------------------------------------------------------

Result<HsmConfigs> ChooseTokens(const Config& config, const RecoverFinishOptions& options) {
  const HsmConfigs all = AllHsms(config);
  if (options.hsms.empty()) {
    return all;
  }
  HsmConfigs chosen;
  for (const std::string& name : options.hsms) {
    const auto found = all.find(name);
    if (found == all.end()) {
      return InvalidArgument("the configuration has no HSM named " + name);
    }
    chosen.insert(*found);
  }
  return chosen;
}

std::vector<std::string> NamesOf(const HsmConfigs& tokens) {
  std::vector<std::string> names;
  for (const auto& [name, config] : tokens) {
    names.push_back(name);
  }
  return names;
}

// Every one of them, for each is to open what is recovered.
Status AwaitAll(const TokenFleet& fleet, const HsmConfigs& tokens) {
  Milliseconds longest{0};
  for (const auto& [name, config] : tokens) {
    longest = std::max(longest, config.start_timeout);
  }
  const Deadline deadline = std::chrono::steady_clock::now() + longest;
  std::vector<std::string> serving;
  while (serving.size() < tokens.size()) {
    Result<std::vector<std::string>> now = fleet.AwaitServing(serving, deadline);
    if (!now.has_value()) {
      std::set<std::string> missing;
      for (const std::string& name : NamesOf(tokens)) {
        if (std::ranges::find(serving, name) == serving.end()) {
          missing.insert(name);
        }
      }
      return FailedPrecondition("these HSMs of the configuration are not ready: " +
                                    Joined(missing) +
                                    ". Nothing was changed; correct them, or name with --hsm the "
                                    "ones to use",
                                now.error().detail);
    }
    serving = *std::move(now);
  }
  return Ok();
}

// ---- finish: the record -------------------------------------------------------------------------

class Trail {
 public:
  // Its records name no revision of the store: without `sys` its sums are not kept meanwhile, and
  // the next start would take the store for an older one.
  static Result<std::unique_ptr<Trail>> Open(const AuditConfig& config, const Clock& clock) {
    auto trail = std::make_unique<Trail>(clock);
    AuditOptions options;
    options.path = config.path;
    options.durability =
        config.durability == "fsync" ? AuditDurability::kFsync : AuditDurability::kWrite;
    trail->log_ = KMS_TRY(ChainedAuditLog::Open(std::move(options), clock));
    return trail;
  }
  explicit Trail(const Clock& clock) : clock_(clock) {}

  // Before it is put under tokens, and after; durable when it returns.
  Status Record(const OpenedEnvironment& environment, const std::string& ceremony,
                const Status* outcome) {
    const std::string path = "sys/environments/" + environment.name + "/recover";
    const std::string who = "recovery holders " + Joined(environment.holders);
    const AuditRecord record{
        .type = outcome == nullptr ? AuditRecordType::kRequest : AuditRecordType::kResponse,
        .time = clock_.Now(),
        .request_id = ceremony,
        .operation = "recover",
        .path = path,
        .name_space = {},
        .environment = environment.name,
        .key = {},
        .accessor = {},
        .display_name = who,
        .policies = {},
        .remote_address = {},
        .items = static_cast<std::int64_t>(environment.keys.size()),
        .error = outcome != nullptr && !outcome->has_value()
                     ? std::string_view(outcome->error().public_message)
                     : std::string_view()};
    std::string members;
    AppendAuditMembers(record, members);
    const AuditTicket ticket = KMS_TRY(log_->Append(members));
    return log_->Await(ticket, clock_.SteadyNow() + kAuditTimeout);
  }

 private:
  const Clock& clock_;
  std::unique_ptr<ChainedAuditLog> log_;
};

std::string Plan(const OpenedEnvironment& environment, const RebindPlan& plan) {
  std::string hsms;
  for (const GroupMember& member : plan.members) {
    hsms += (hsms.empty() ? "" : ", ") + member.hsm;
  }
  return environment.name + ": master key version " + std::to_string(plan.version) + " in " + hsms +
         "; " + std::to_string(plan.to_delete.size()) + " records of lost master keys deleted";
}

Status BindAll(const Config& config, const RecoverFinishOptions& options, Store& store,
               const std::string& ceremony, const std::vector<OpenedEnvironment>& opened) {
  const SystemClock clock;
  const HsmConfigs tokens = KMS_TRY(ChooseTokens(config, options));
  const std::vector<std::string> names = NamesOf(tokens);
  if (options.dry_run) {
    for (const OpenedEnvironment& environment : opened) {
      const RebindPlan plan = KMS_TRY(PlanRebind(store, environment.id, names));
      Say("would do: " + Plan(environment, plan));
    }
    return Ok();
  }
  HsmRegistry hsms(clock);
  TokenFleet fleet(hsms);
  KMS_TRY(fleet.Apply(tokens, nullptr));
  KMS_TRY(AwaitAll(fleet, tokens));
  const std::unique_ptr<Trail> trail = KMS_TRY(Trail::Open(config.audit, clock));
  for (const OpenedEnvironment& environment : opened) {
    KMS_TRY(trail->Record(environment, ceremony, nullptr));
    const Result<RebindPlan> bound = BindToTokens(
        store,
        {.hsms = hsms, .clock = clock, .call_timeout = config.hsm.call_timeout, .names = names},
        environment);
    const Status outcome = bound.has_value() ? Ok() : Status(bound.error());
    KMS_TRY(trail->Record(environment, ceremony, &outcome));
    KMS_TRY(Status(outcome));
    Say("done: " + Plan(environment, *bound));
  }
  return Ok();
}

// The one-time key has done its work when nothing of the package is left to be opened.
void DropCeremonyKey(const RecoveryPackage& package, const RecoverFinishOptions& options,
                     const std::vector<OpenedEnvironment>& opened) {
  const bool all = std::ranges::all_of(package.keys, [&](const SplitKey& key) {
    return std::ranges::find(opened, key.environment_id, &OpenedEnvironment::id) != opened.end();
  });
  const std::string path = CeremonyKeyPath(options.package);
  if (all && ::unlink(path.c_str()) == 0) {
    Say("deleted " + path + "; package and answers open nothing any more");
  } else {
    Say("keep " + path + " until the rest is recovered, then delete it");
  }
}

}  // namespace

Status RecoverBegin(const Config& config, const RecoverBeginOptions& options) {
  const std::unique_ptr<SqliteStore> store = KMS_TRY(OpenExistingStore(config.store.path));
  const Uuid sys_id = KMS_TRY(ReadSysId(*store));
  const std::vector<RecoverableEnvironment> environments = KMS_TRY(ListRecoverable(*store));
  const HolderPrivateKey key = KMS_TRY(HolderPrivateKey::Generate());
  const SystemClock clock;
  const RecoveryPackage package = MakePackage(environments, key, ToUnixSeconds(clock.Now()));
  if (package.keys.empty()) {
    return FailedPrecondition(
        "no environment of this store has recovery holders: nothing can be "
        "recovered without an HSM that opens it");
  }
  const SecretBytes pem = KMS_TRY(key.ToPem());
  KMS_TRY(WriteNewFile(CeremonyKeyPath(options.package), pem.View()));
  const Status written = WriteNewFile(options.package, AsBytes(package.ToJson()));
  if (!written.has_value()) {
    ::unlink(CeremonyKeyPath(options.package).c_str());
    return written;
  }
  bool sys_is_in = false;
  for (const RecoverableEnvironment& environment : environments) {
    sys_is_in = sys_is_in || (environment.id == sys_id && environment.recoverable());
    Say(environment.recoverable()
            ? DescribeSplit(environment)
            : Title(environment.id, environment.name) + ": cannot be recovered, " +
                  (environment.splits.empty() ? "it has no holders" : "not every key is split"));
  }
  if (!sys_is_in) {
    Say("WARNING: sys cannot be recovered; the service starts only when an HSM opens it");
  }
  Say("\nwrote " + options.package + ": give it to the holders, who run");
  Say("  kmsctl recover share --package FILE --key THEIR_KEY --out ANSWER");
  Say("wrote " + CeremonyKeyPath(options.package) + ": keep it on this machine");
  Say("read this fingerprint to each holder, by voice:\n  " +
      HolderKeyFingerprint(package.public_key));
  return Ok();
}

Status RecoverFinish(const Config& config, const RecoverFinishOptions& options) {
  const RecoveryPackage package = KMS_TRY(ReadRecoveryPackage(options.package));
  const HolderPrivateKey key = KMS_TRY(ReadCeremonyKey(options.package));
  const std::vector<RecoveryAnswer> answers = KMS_TRY(ReadRecoveryAnswers(options.answers));
  const std::unique_ptr<SqliteStore> store = KMS_TRY(OpenExistingStore(config.store.path));
  const Uuid sys_id = KMS_TRY(ReadSysId(*store));
  const std::vector<RecoverableEnvironment> environments = KMS_TRY(ListRecoverable(*store));
  KMS_TRY(CheckNames(options, environments));
  std::vector<OpenedEnvironment> all = KMS_TRY(OpenAnswers(environments, package, key, answers));
  std::vector<OpenedEnvironment> opened = KMS_TRY(TakeOpened(std::move(all), options));
  KMS_TRY(ProveAll(*store, options, opened));
  const auto sys = std::ranges::find(opened, sys_id, &OpenedEnvironment::id);
  if (sys != opened.end()) {
    KMS_TRY(CheckAgainstList(*store, *sys, opened, environments));
  } else {
    Say("sys is not among them: the service starts only when an HSM opens it");
  }
  KMS_TRY(BindAll(config, options, *store, package.ceremony.ToString(), opened));
  if (options.dry_run) {
    Say("nothing was changed");
    return Ok();
  }
  DropCeremonyKey(package, options, opened);
  Say("start the service now: kmsd serve");
  return Ok();
}

}  // namespace kms::api
