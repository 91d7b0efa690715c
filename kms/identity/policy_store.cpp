// SPDX-License-Identifier: Apache-2.0
// The record at "policies/<name>", format 1 (big-endian):
//
//   'P' | 1 | length(4) and text of the document as it was written
#include "kms/identity/policy_store.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "kms/auth/policy_template.h"
#include "kms/base/mutex.h"
#include "kms/base/record_codec.h"
#include "kms/identity/built_in_policies.h"

namespace kms {
namespace {

constexpr std::string_view kPrefix = "policies/";
constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kPage = 256;
constexpr std::size_t kMaxSharedAcls = 4096;
constexpr std::string_view kRoot = "root";
constexpr std::string_view kDefault = "default";
constexpr std::string_view kWrapping = "response-wrapping";
constexpr std::array kUnchangeable = {kRoot, kWrapping, std::string_view("control-group")};

std::string PathOf(std::string_view name) { return std::string(kPrefix) + std::string(name); }

Result<SecretBytes> Encode(std::string_view text) {
  RecordWriter writer('P', kFormat);
  writer.PutText(text);
  return SecretBytes::CopyOf(writer.Take());
}

Result<std::string> Decode(ByteView encoded, std::string_view name) {
  RecordReader reader(encoded);
  reader.GetHead('P', kFormat);
  std::string text = reader.GetText();
  if (!reader.Finished()) {
    return Corrupted("damaged entry", "record of policy " + std::string(name));
  }
  return text;
}

struct Entry {
  std::string text;
  std::shared_ptr<const Policy> policy;
  bool has_templates = false;
  bool known = true;  // false: the store may hold something else
};

using EntryHandle = std::shared_ptr<const Entry>;

bool HasTemplates(const Policy& policy) {
  return std::ranges::any_of(policy.stanzas, [](const PolicyStanza& stanza) {
    return internal::HasTemplate(stanza.pattern) ||
           std::ranges::any_of(stanza.required_context, internal::HasTemplate);
  });
}

Result<EntryHandle> Compile(std::string_view text) {
  auto entry = std::make_shared<Entry>();
  entry->text = text;
  entry->policy = KMS_TRY(ParsePolicy(text));
  entry->has_templates = HasTemplates(*entry->policy);
  return EntryHandle(std::move(entry));
}

bool IsUnchangeable(const IdentityName& name) {
  return std::ranges::find(kUnchangeable, std::string_view(name.text())) != kUnchangeable.end();
}

}  // namespace

struct PolicyStore::Impl {
  explicit Impl(SealedStore& store) : sys(store) {}

  // What the store holds under `name`, or else what is built in; null when there is neither.
  Result<EntryHandle> Read(const std::string& name) {
    const std::optional<OpenedEntry> stored = KMS_TRY(sys.Get(PathOf(name)));
    if (!stored) {
      return name == kDefault    ? Compile(kDefaultPolicyText)
             : name == kWrapping ? Compile(kResponseWrappingPolicyText)
                                 : Result<EntryHandle>(EntryHandle());
    }
    const std::string text = KMS_TRY(Decode(stored->value.View(), name));
    Result<EntryHandle> entry = Compile(text);
    if (!entry) {
      return Corrupted("damaged entry",
                       "policy " + name + " no longer parses: " + entry.error().public_message);
    }
    return entry;
  }

  Status ReadAll() KMS_REQUIRES(write_mutex) {
    std::vector<std::string> names = {std::string(kDefault), std::string(kWrapping)};
    std::string after;
    while (true) {
      const std::vector<ListedEntry> page = KMS_TRY(sys.List(kPrefix, after, kPage));
      if (page.empty()) {
        break;
      }
      for (const ListedEntry& listed : page) {
        names.push_back(listed.path.substr(kPrefix.size()));
      }
      after = page.back().path;
    }
    for (const std::string& name : names) {
      EntryHandle entry = KMS_TRY(Read(name));
      Install(name, std::move(entry));
    }
    return Ok();
  }

  // From now on `entry` counts; null: there is no such policy.
  void Install(const std::string& name, EntryHandle entry) KMS_REQUIRES(write_mutex) {
    const bool is_known = entry == nullptr || entry->known;
    const ScopedLock lock(mutex);
    if (entry == nullptr) {
      entries.erase(name);
    } else {
      entries[name] = std::move(entry);
    }
    shared_acls.clear();
    const auto doubt = std::ranges::find(unknown, name);
    if (doubt != unknown.end()) {
      unknown.erase(doubt);
    }
    if (!is_known) {
      unknown.push_back(name);
    }
    any_unknown.store(!unknown.empty());
    generation.fetch_add(1);
  }

  // Commits and then installs what the store holds, whether the answer said so or not.
  Status Write(const std::string& name, std::optional<SecretBytes> value, EntryHandle entry)
      KMS_REQUIRES(write_mutex) {
    std::vector<SealedMutation> mutations;
    mutations.push_back({.path = PathOf(name), .value = std::move(value), .expected_revision = {}});
    const Result<Revision> committed = sys.Commit(std::move(mutations));
    if (committed) {
      Install(name, std::move(entry));
      return Ok();
    }
    if (committed.error().code != ErrorCode::kOutcomeUnknown) {
      return committed.error();
    }
    MarkUnknown(name);
    EntryHandle stored = KMS_TRY(Read(name));
    const bool done = (stored == nullptr) == (entry == nullptr) &&
                      (entry == nullptr || stored->text == entry->text);
    Install(name, std::move(stored));
    return done ? Ok()
                : Unavailable("storage failed, nothing was changed", committed.error().detail);
  }

  void MarkUnknown(const std::string& name) KMS_REQUIRES(write_mutex) {
    auto entry = std::make_shared<Entry>();
    if (const EntryHandle old = Find(name)) {
      *entry = *old;
    }
    entry->known = false;
    Install(name, std::move(entry));
  }

  // Reads again what a failed commit left unknown; what cannot be read stays so.
  void Settle() {
    if (!any_unknown.load()) {
      return;
    }
    const ScopedLock writing(write_mutex);
    std::vector<std::string> names;
    {
      const ScopedSharedLock lock(mutex);
      names = unknown;
    }
    for (const std::string& name : names) {
      if (Result<EntryHandle> entry = Read(name)) {
        Install(name, std::move(*entry));
      }
    }
  }

  [[nodiscard]] EntryHandle Find(std::string_view name) const {
    const ScopedSharedLock lock(mutex);
    const auto found = entries.find(name);
    return found == entries.end() ? nullptr : found->second;
  }

  SealedStore& sys;
  // Held across store I/O by whoever writes: memory takes over what the store holds in its order.
  Mutex write_mutex;
  mutable SharedMutex mutex;
  std::map<std::string, EntryHandle, std::less<>> entries KMS_GUARDED_BY(mutex);
  std::map<std::vector<std::string>, AclHandle> shared_acls KMS_GUARDED_BY(mutex);
  std::vector<std::string> unknown KMS_GUARDED_BY(mutex);
  std::atomic<bool> any_unknown = false;
  std::atomic<std::uint64_t> generation = 1;
};

PolicyStore::PolicyStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PolicyStore::~PolicyStore() = default;

Result<std::unique_ptr<PolicyStore>> PolicyStore::Open(SealedStore& sys) {
  auto impl = std::make_unique<Impl>(sys);
  {
    const ScopedLock writing(impl->write_mutex);
    KMS_TRY(impl->ReadAll());
  }
  return std::unique_ptr<PolicyStore>(new PolicyStore(std::move(impl)));
}

Status PolicyStore::Put(const IdentityName& name, std::string_view text) {
  if (IsUnchangeable(name)) {
    return InvalidArgument("cannot update \"" + name.text() + "\" policy");
  }
  Result<EntryHandle> entry = Compile(text);
  if (!entry) {
    return InvalidArgument("failed to parse policy: " + entry.error().public_message, {},
                           entry.error().where);
  }
  SecretBytes value = KMS_TRY(Encode(text));
  const ScopedLock writing(impl_->write_mutex);
  return impl_->Write(name.text(), std::move(value), std::move(*entry));
}

std::optional<StoredPolicy> PolicyStore::Get(const IdentityName& name) const {
  if (name.text() == kRoot) {
    return StoredPolicy{.name = name.text(), .text = {}};
  }
  impl_->Settle();
  const EntryHandle entry = impl_->Find(name.text());
  if (entry == nullptr) {
    return std::nullopt;
  }
  return StoredPolicy{.name = name.text(), .text = entry->text};
}

Status PolicyStore::Delete(const IdentityName& name) {
  if (name.text() == kDefault) {
    return InvalidArgument("cannot delete default policy");
  }
  if (IsUnchangeable(name)) {
    return InvalidArgument("cannot delete \"" + name.text() + "\" policy");
  }
  const ScopedLock writing(impl_->write_mutex);
  if (impl_->Find(name.text()) == nullptr) {
    return Ok();
  }
  return impl_->Write(name.text(), std::nullopt, nullptr);
}

std::vector<std::string> PolicyStore::List() const {
  std::vector<std::string> names = {std::string(kRoot)};
  {
    const ScopedSharedLock lock(impl_->mutex);
    for (const auto& [name, entry] : impl_->entries) {
      if (name != kWrapping) {
        names.push_back(name);
      }
    }
  }
  std::ranges::sort(names);
  return names;
}

bool PolicyStore::Exists(std::string_view name) const {
  return name == kRoot || impl_->Find(name) != nullptr;
}

AclHandle PolicyStore::AclFor(const std::vector<std::string>& names,
                              const TemplateValues& values) const {
  impl_->Settle();
  const std::uint64_t generation = impl_->generation.load();
  std::vector<NamedPolicy> policies;
  bool has_templates = false;
  {
    const ScopedSharedLock lock(impl_->mutex);
    for (const std::string& name : names) {
      const auto entry = impl_->entries.find(name);
      if (entry == impl_->entries.end()) {
        continue;
      }
      if (!entry->second->known) {
        return Acl::Compile({}, values);
      }
      policies.push_back({.name = name, .policy = entry->second->policy});
      has_templates = has_templates || entry->second->has_templates;
    }
    const auto shared = impl_->shared_acls.find(names);
    if (shared != impl_->shared_acls.end()) {
      return shared->second;
    }
  }
  AclHandle acl = Acl::Compile(policies, values);
  const ScopedLock lock(impl_->mutex);
  if (has_templates || impl_->generation.load() != generation) {
    return acl;
  }
  if (impl_->shared_acls.size() >= kMaxSharedAcls) {
    impl_->shared_acls.clear();
  }
  return impl_->shared_acls.emplace(names, std::move(acl)).first->second;
}

std::uint64_t PolicyStore::generation() const { return impl_->generation.load(); }

}  // namespace kms
