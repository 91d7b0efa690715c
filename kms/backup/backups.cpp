// SPDX-License-Identifier: Apache-2.0
#include "kms/backup/backups.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "kms/backup/digest_key.h"
#include "kms/crypto/backup_envelope.h"
#include "kms/store/list_all.h"
#include "kms/store/sqlite_store.h"

namespace kms {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGroupPrefix = "group/";

constexpr std::string_view kCopySuffix = "XXXXXX";  // made unique by mkdtemp

std::string CopyPrefix(const BackupsOptions& options) {
  return ".kms-backup-" + options.store_name + "-";
}

// A directory for one copy, mode 0700, removed with everything in it.
class CopyDirectory {
 public:
  static Result<std::unique_ptr<CopyDirectory>> Make(const BackupsOptions& options) {
    const std::string& parent = options.directory;
    std::string path = parent + "/" + CopyPrefix(options) + std::string(kCopySuffix);
    if (::mkdtemp(path.data()) == nullptr) {
      return Unavailable(
          "the backup cannot be written: check free space and permissions of the "
          "store's directory",
          parent + ": " + std::generic_category().message(errno));
    }
    return std::unique_ptr<CopyDirectory>(new CopyDirectory(std::move(path)));
  }
  ~CopyDirectory() {
    std::error_code ignored;  // what stays is as sealed as the store itself
    fs::remove_all(path_, ignored);
  }
  CopyDirectory(const CopyDirectory&) = delete;
  CopyDirectory& operator=(const CopyDirectory&) = delete;

  [[nodiscard]] std::string file() const { return path_ + "/store.db"; }

 private:
  explicit CopyDirectory(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

Result<std::string> ReadWhole(const std::string& path, std::uint64_t max_bytes) {
  std::error_code failed;
  const std::uintmax_t size = fs::file_size(path, failed);
  if (failed) {
    return Unavailable("the backup cannot be read back", failed.message());
  }
  if (size > max_bytes) {
    return FailedPrecondition("the store has " + std::to_string(size) +
                              " bytes, more than a backup over the API may have: stop the service "
                              "and copy its files");
  }
  std::string bytes(static_cast<std::size_t>(size), '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    return Unavailable("the backup cannot be read back");
  }
  return bytes;
}

// The newest master version that every key version of the environment is wrapped under.
std::optional<MasterKeyVersion> CompleteVersion(const MemberMaterial& member,
                                                const std::vector<EnvironmentKeyVersion>& keys) {
  for (auto master = member.masters.rbegin(); master != member.masters.rend(); ++master) {
    const bool complete = std::ranges::all_of(keys, [&](EnvironmentKeyVersion version) {
      return member.FindWrap(version, master->first) != nullptr;
    });
    if (complete) {
      return master->first;
    }
  }
  return std::nullopt;
}

void AddMasterKeys(const GroupMaterial& material, const BackupMasterKey& environment,
                   std::vector<BackupMasterKey>& keys) {
  const std::vector<EnvironmentKeyVersion> versions = material.Versions();
  const std::size_t before = keys.size();
  const auto add = [&](const std::string& hsm, const MasterKeyRecord& master,
                       MasterKeyVersion version) {
    BackupMasterKey key = environment;
    key.hsm = hsm;
    key.version = version;
    key.master_key_id = master.id;
    keys.push_back(std::move(key));
  };
  for (const auto& [hsm, member] : material.members) {
    const std::optional<MasterKeyVersion> version = CompleteVersion(member, versions);
    if (version) {
      add(hsm, member.masters.at(*version), *version);
    }
  }
  if (keys.size() != before) {
    return;
  }
  // In the middle of something: whatever opens a part of it is needed.
  for (const auto& [hsm, member] : material.members) {
    for (const auto& [version, master] : member.masters) {
      add(hsm, master, version);
    }
  }
}

Status AddEnvironment(Store& store, const std::string& path,
                      const std::map<Uuid, std::string>& names,
                      std::vector<BackupMasterKey>& keys) {
  const Result<Uuid> id = Uuid::Parse(std::string_view(path).substr(kGroupPrefix.size()));
  if (!id.has_value()) {
    return Corrupted("the store holds the group of no environment");
  }
  const auto name = names.find(*id);
  const Result<GroupMaterial> material = ReadGroupMaterial(store, *id);
  if (!material.has_value()) {
    // One that cannot be opened now is none the better for having no backup.
    return material.error().code == ErrorCode::kCorrupted ? Ok() : Status(material.error());
  }
  BackupMasterKey environment;
  environment.environment_id = *id;
  environment.environment = name == names.end() ? id->ToString() : name->second;
  AddMasterKeys(*material, environment, keys);
  return Ok();
}

// The newest key of `sys` that is in memory and in the copy.
Result<EnvironmentKeyVersion> SharedVersion(const EnvironmentKeyring& keys,
                                            const GroupMaterial& material) {
  std::vector<EnvironmentKeyVersion> versions = material.Versions();
  for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
    if (keys.Find(*version).has_value()) {
      return *version;
    }
  }
  return Unavailable("the environment sys is sealed: no backup can be made");
}

Result<std::string> DigestOf(SqliteStore& copy, SealedStore& sys) {
  const std::optional<SecretBytes> key = KMS_TRY(ReadDigestKey(sys));
  if (!key) {
    return std::string();
  }
  const DigestReport report = KMS_TRY(copy.CheckDigest(*key));
  if (!report.good()) {
    return Corrupted("the store's entries do not match their digest: no backup is made of them");
  }
  return report.tag;
}

}  // namespace

Result<std::vector<BackupMasterKey>> MasterKeysOf(Store& store,
                                                  const std::map<Uuid, std::string>& names) {
  std::vector<BackupMasterKey> keys;
  for (const ListedEntry& entry : KMS_TRY(ListAll(store, kGroupPrefix))) {
    KMS_TRY(AddEnvironment(store, entry.path, names, keys));
  }
  return keys;
}

std::map<Uuid, std::string> Backups::EnvironmentNames() const {
  std::map<Uuid, std::string> names;
  names[environments_.sys()->identity().id] = "sys";
  for (const std::shared_ptr<Environment>& environment : environments_.List()) {
    names[environment->identity().id] = environment->identity().name;
  }
  return names;
}

BackupList Backups::list() { return {environments_.sys()->store(), clock_}; }

void RemoveInterruptedCopies(const BackupsOptions& options) {
  const std::string prefix = CopyPrefix(options);
  std::error_code failed;
  std::vector<fs::path> left;
  for (fs::directory_iterator entry(options.directory, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    // The length too: another store's name may go on where this one's ends.
    const std::string name = entry->path().filename().string();
    if (name.starts_with(prefix) && name.size() == prefix.size() + kCopySuffix.size()) {
      left.push_back(entry->path());
    }
  }
  for (const fs::path& path : left) {
    fs::remove_all(path, failed);  // what stays is as sealed as the store itself
  }
}

Result<Backups::Made> Backups::Make(std::chrono::seconds keep) {
  const ScopedLock lock(mutex_);
  const std::int64_t now = ToUnixSeconds(clock_.Now());
  BackupRecord record;
  record.id = Uuid::Random();
  record.created_unix_seconds = now;
  record.expires_unix_seconds = now + keep.count();
  record.revision = KMS_TRY(store_.CurrentRevision());
  record.master_keys = KMS_TRY(MasterKeysOf(store_, EnvironmentNames()));
  KMS_TRY(list().Put(record));
  const auto directory = KMS_TRY(CopyDirectory::Make(options_));
  Result<Made> made = options_.copy_store ? Result<Made>(Made{})
                                          : Result<Made>(Internal("nothing copies the store"));
  const Status copied =
      made.has_value() ? options_.copy_store(directory->file()) : Status(made.error());
  made = copied.has_value() ? MakeFrom(directory->file(), record) : Result<Made>(copied.error());
  if (!made.has_value()) {
    IgnoreError(list().Forget(record.id), "it keeps keys from being retired until it expires");
  }
  return made;
}

Result<Backups::Made> Backups::MakeFrom(const std::string& copy, BackupRecord record) {
  Environment& sys = *environments_.sys();
  const BackupRecord registered = record;
  BackupHeader header;
  {
    const std::unique_ptr<SqliteStore> store = KMS_TRY(SqliteStore::Open(copy));
    record.revision = KMS_TRY(store->CurrentRevision());
    record.master_keys = KMS_TRY(MasterKeysOf(*store, EnvironmentNames()));
    header.sys_id = sys.identity().id;
    const GroupMaterial material = KMS_TRY(ReadGroupMaterial(*store, header.sys_id));
    header.key_version = KMS_TRY(SharedVersion(sys.keyring(), material));
    header.wraps = WrapsOf(material, header.key_version);
    header.digest = KMS_TRY(DigestOf(*store, sys.store()));
  }
  if (!(record == registered)) {
    KMS_TRY(list().Put(record));
  }
  header.record = std::move(record);
  header.epoch = options_.epochs == nullptr ? 0 : options_.epochs->epoch();
  const std::string content = KMS_TRY(ReadWhole(copy, options_.max_bytes));
  const SecretBytes sys_key = KMS_TRY(sys.keyring().Find(header.key_version));
  const SecretBytes mac_key = KMS_TRY(BackupMacKey(sys_key, header.record.id));
  const Bytes head =
      KMS_TRY(EncodeBackupHead(header.Encode(), content.size(), Sha256(AsBytes(content)), mac_key));
  Made made{.header = std::move(header), .bytes = std::string(AsText(head))};
  made.bytes += content;
  return made;
}

Result<BackupHeader> Backups::Check(ByteView head) {
  Environment& sys = *environments_.sys();
  const BackupEnvelope envelope = KMS_TRY(DecodeBackupHead(head));
  BackupHeader header = KMS_TRY(BackupHeader::Decode(envelope.header));
  if (header.sys_id != sys.identity().id) {
    return Corrupted("the backup is of another cluster");
  }
  const Result<SecretBytes> sys_key = sys.keyring().Find(header.key_version);
  if (!sys_key.has_value()) {
    return sys_key.error().code == ErrorCode::kCorrupted
               ? FailedPrecondition("the backup was made under key version " +
                                    std::to_string(header.key_version) +
                                    " of sys, which is gone: only `kmsd restore` can check it")
               : sys_key.error();
  }
  const SecretBytes mac_key = KMS_TRY(BackupMacKey(*sys_key, header.record.id));
  KMS_TRY(VerifyBackupHead(head, mac_key));
  return header;
}

}  // namespace kms
