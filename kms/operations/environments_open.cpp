// SPDX-License-Identifier: Apache-2.0
// Opening a store: `sys` first, then whatever it lists.
#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "kms/operations/environments_impl.h"
#include "kms/store/list_all.h"

namespace kms {

namespace {

constexpr std::string_view kRootPath = "root";
constexpr std::string_view kEnvironmentsPrefix = "environments/";
constexpr std::size_t kEnvironmentsPerThread = 8;
constexpr std::size_t kMostOpeners = 8;

Error NotFromTheStart(std::string_view what) {
  return Corrupted("the store holds entries but " + std::string(what) +
                   "; no master key is made for it: restore the store from a backup");
}

EnvironmentSettings Undeletable() {
  EnvironmentSettings settings;
  settings.is_protected = true;
  return settings;
}

// Commits what moves the store to `wanted`; when the outcome is unknown, rereads it.
Result<Revision> CommitRoot(Store& store, const RootRecord& wanted, Revision expected,
                            std::vector<Mutation> more) {
  const Bytes encoded = wanted.Encode();
  more.push_back(
      {.path = std::string(kRootPath), .value = encoded, .expected_revision = expected});
  const Result<Revision> committed = store.Commit(more);
  if (committed.has_value() || committed.error().code != ErrorCode::kOutcomeUnknown) {
    return committed;
  }
  const std::optional<StoredValue> now = KMS_TRY(store.Get(kRootPath));
  if (now && now->value == encoded) {
    return now->revision;
  }
  return Unavailable("storage failed, nothing was changed", committed.error().detail);
}

}  // namespace

std::string EnvironmentPath(std::string_view name) {
  return std::string(kEnvironmentsPrefix) + std::string(name);
}

std::string PendingPath(std::string_view name) { return "pending/" + std::string(name); }

Result<std::unique_ptr<Environments>> Environments::Open(
    Store& store, HsmRegistry& hsms, const Clock& clock, EnvironmentsOptions options,
    const std::vector<std::string>& first) {
  auto impl = std::make_unique<Impl>(store, hsms, clock, std::move(options));
  Revision revision = 0;
  const RootRecord root = KMS_TRY(impl->ReadOrBeginRoot(revision));
  if (root.stage == RootStage::kCreating) {
    KMS_TRY(impl->FinishRoot(root, revision, first));
  }
  KMS_TRY(impl->OpenSys(root));
  KMS_TRY(impl->OpenListed());
  return std::unique_ptr<Environments>(new Environments(std::move(impl)));
}

Result<RootRecord> Environments::Impl::ReadOrBeginRoot(Revision& revision) {
  const std::optional<StoredValue> stored = KMS_TRY(store.Get(kRootPath));
  if (stored) {
    revision = stored->revision;
    return RootRecord::Decode(stored->value);
  }
  if (!KMS_TRY(store.List({}, {}, 1)).empty()) {
    return NotFromTheStart("not the record it begins with");
  }
  // Recorded before the HSM makes a key, so that an interrupted start goes on with the same one.
  const RootRecord root{.stage = RootStage::kCreating,
                        .sys_id = Uuid::Random(),
                        .sys_master_key_id = Uuid::Random()};
  revision = KMS_TRY(CommitRoot(store, root, 0, {}));
  return root;
}

Status Environments::Impl::FinishRoot(RootRecord root, Revision revision,
                                      const std::vector<std::string>& first) {
  for (const std::string_view prefix : {"e/", "master/", "wrapped/", "group/"}) {
    if (!KMS_TRY(store.List(prefix, {}, 1)).empty()) {
      return NotFromTheStart("its first start never finished");
    }
  }
  internal::NewGroup made =
      KMS_TRY(internal::MakeGroup(Access(), {.environment = std::string(kSysName),
                                             .environment_id = root.sys_id,
                                             .master_key_id = root.sys_master_key_id,
                                             .hsms = first}));
  root.stage = RootStage::kInitialised;
  KMS_TRY(CommitRoot(store, root, revision, std::move(made.mutations)));
  return Ok();
}

Status Environments::Impl::OpenSys(const RootRecord& root) {
  const EnvironmentIdentity identity{
      .id = root.sys_id,
      .name = std::string(kSysName),
      .accessor = "system_" + root.sys_id.ToString().substr(0, 8),
      .created_unix_seconds = 0};
  sys = MakeSlot(identity, Undeletable());
  return sys->Open();
}

Status Environments::Impl::OpenListed() {
  std::vector<std::string> paths;
  SealedStore& sealed = sys->environment()->store();
  for (const ListedEntry& entry : KMS_TRY(ListAll(sealed, kEnvironmentsPrefix))) {
    paths.push_back(entry.path);
  }
  return OpenAll(paths);
}

Status Environments::Impl::OpenAll(const std::vector<std::string>& paths) {
  const std::size_t threads =
      std::clamp<std::size_t>(paths.size() / kEnvironmentsPerThread, 1, kMostOpeners);
  std::atomic<std::size_t> next{0};
  std::vector<Status> outcomes(threads, Ok());
  const auto open_some = [&](std::size_t thread) {
    for (std::size_t index = next++; index < paths.size(); index = next++) {
      outcomes[thread] = OpenOne(paths[index]);
      if (!outcomes[thread].has_value()) {
        next = paths.size();  // the others need not go on
        return;
      }
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t thread = 1; thread < threads; ++thread) {
      others.emplace_back(open_some, thread);
    }
    open_some(0);
  }
  const auto failed =
      std::ranges::find_if(outcomes, [](const Status& one) { return !one.has_value(); });
  return failed == outcomes.end() ? Ok() : *failed;
}

Status Environments::Impl::OpenOne(const std::string& path) {
  auto stored = ReadRecord<EnvironmentRecord>(path);
  const std::string name = path.substr(kEnvironmentsPrefix.size());
  const bool damaged = !stored.has_value() && stored.error().code == ErrorCode::kCorrupted;
  if (damaged || (stored.has_value() && *stored && (*stored)->record.identity.name != name)) {
    // Its name stays taken and says what is wrong; the others are served.
    EnvironmentIdentity unknown;
    unknown.name = name;
    const SlotHandle slot = MakeSlot(std::move(unknown), Undeletable());
    slot->HoldSealed("the entry of environment " + name +
                     " is damaged: restore the store from a backup");
    AddSlot(slot);
    return Ok();
  }
  const auto found = KMS_TRY(std::move(stored));
  if (!found) {
    return Ok();
  }
  if (found->record.stage == EnvironmentStage::kDeleting) {
    IgnoreError(FinishDeletion(found->record), "it goes on when the deletion is asked for again");
    return Ok();
  }
  const SlotHandle slot = MakeSlot(found->record.identity, found->record.settings);
  IgnoreError(slot->Open(), "it starts sealed, with the reason");
  AddSlot(slot);
  return Ok();
}

}  // namespace kms
