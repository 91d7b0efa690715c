// SPDX-License-Identifier: Apache-2.0
// Copying token directories so that there is a whole copy of every file at every moment. A token of
// many keys is not copied again for each new one: only what changed is.
#include "pkcs11/token_backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace kms::pkcs11 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTokenFile = "token.object";
constexpr std::string_view kDraftSuffix = ".draft";

// Two changes in one tick of the file system's clock look like one.
constexpr auto kSettledAfter = std::chrono::milliseconds(100);

Error CannotCopy(const std::string& path, const std::error_code& error) {
  return Unavailable(
      "the backup copy of the SoftHSM token failed; check free space and permissions of its state "
      "directory",
      path + ": " + error.message());
}

Status SyncPath(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  const std::error_code error(errno, std::generic_category());
  if (fd >= 0) ::close(fd);
  if (!synced) return CannotCopy(path, error);
  return Ok();
}

bool HasContent(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  return !error && size > 0;
}

bool HasFacts(const fs::path& path, struct stat& facts) {
  return ::lstat(path.c_str(), &facts) == 0;
}

// A copy bears the time of what it was made of.
bool IsCurrent(const struct stat& copy, const struct stat& original) {
  return copy.st_size == original.st_size && copy.st_mtim.tv_sec == original.st_mtim.tv_sec &&
         copy.st_mtim.tv_nsec == original.st_mtim.tv_nsec;
}

// SoftHSM syncs nothing that it writes, so the original is synced like the copy: what is sealed
// under a new key must not outlive the key in a power cut.
Status CopyFileDurably(const fs::path& original, const fs::path& copy) {
  KMS_TRY(SyncPath(original));
  fs::path draft = copy;
  draft += kDraftSuffix;
  std::error_code error;
  const fs::file_time_type time = fs::last_write_time(original, error);
  if (!error) fs::copy_file(original, draft, fs::copy_options::overwrite_existing, error);
  if (error) return CannotCopy(draft, error);
  const bool settled = fs::file_time_type::clock::now() - time > kSettledAfter;
  fs::last_write_time(draft, settled ? time : time - kSettledAfter, error);
  if (error) return CannotCopy(draft, error);
  KMS_TRY(SyncPath(draft));
  fs::rename(draft, copy, error);
  if (error) return CannotCopy(copy, error);
  return Ok();
}

Status UpdateTree(const fs::path& from, const fs::path& to);

Status UpdateEntry(const fs::path& original, const fs::path& copy, bool& changed) {
  struct stat now{};
  // Another process may have destroyed the object meanwhile.
  if (!HasFacts(original, now)) return Ok();
  struct stat before{};
  const bool copied_before = HasFacts(copy, before);
  if (S_ISDIR(now.st_mode)) {
    std::error_code error;
    changed = fs::create_directory(copy, error) || changed;
    if (error) return CannotCopy(copy, error);
    return UpdateTree(original, copy);
  }
  // What a killed login has emptied does not replace what it was.
  const bool emptied = copied_before && now.st_size == 0 && before.st_size > 0;
  if (emptied || (copied_before && IsCurrent(before, now))) return Ok();
  changed = true;
  const Status copied = CopyFileDurably(original, copy);
  return copied.has_value() || HasFacts(original, now) ? copied : Ok();
}

Status RemoveAllBut(const std::set<std::string>& names, const fs::path& directory, bool& changed) {
  std::vector<fs::path> gone;
  std::error_code error;
  for (auto entry = fs::directory_iterator(directory, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (!names.contains(entry->path().filename().string())) gone.push_back(entry->path());
  }
  for (const fs::path& path : gone) {
    if (!error) fs::remove_all(path, error);
  }
  changed = changed || !gone.empty();
  if (error) return CannotCopy(directory, error);
  return Ok();
}

// Makes `to` the durable copy of `from`. What is new comes before what is gone goes.
Status UpdateTree(const fs::path& from, const fs::path& to) {
  std::error_code error;
  bool changed = false;
  std::set<std::string> names;
  for (auto entry = fs::directory_iterator(from, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    names.insert(name);
    KMS_TRY(UpdateEntry(entry->path(), to / name, changed));
  }
  if (error) return CannotCopy(from, error);
  KMS_TRY(RemoveAllBut(names, to, changed));
  if (!changed) return Ok();
  KMS_TRY(SyncPath(from));
  return SyncPath(to);
}

std::string Trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// Earlier releases replaced the copy: after a crash only `previous` is there.
fs::path NewestBackup(const fs::path& state) {
  std::error_code ignored;
  return fs::exists(state / "backup", ignored) ? state / "backup" : state / "backup.previous";
}

}  // namespace

Result<std::string> SoftHsmTokenDirectory(const std::string& softhsm_config) {
  std::ifstream file(softhsm_config);
  for (std::string line; std::getline(file, line);) {
    const auto equals = line.find('=');
    if (equals != std::string::npos && Trimmed(line.substr(0, equals)) == "directories.tokendir") {
      return Trimmed(line.substr(equals + 1));
    }
  }
  return FailedPrecondition(
      "the SoftHSM configuration is missing or names no directories.tokendir; correct it",
      softhsm_config);
}

Status BackUpTokens(const std::string& token_directory, const std::string& state_directory) {
  const fs::path state(state_directory);
  const fs::path backup = state / "backup";
  const fs::path fresh = state / "backup.new";
  std::error_code error;
  if (fs::exists(backup, error)) return UpdateTree(token_directory, backup);
  // There is none until it is complete.
  fs::create_directory(fresh, error);
  if (error) return CannotCopy(fresh, error);
  KMS_TRY(UpdateTree(token_directory, fresh));
  fs::rename(fresh, backup, error);
  if (error) return CannotCopy(backup, error);
  KMS_TRY(SyncPath(state));
  fs::remove_all(state / "backup.previous", error);
  return Ok();
}

Status RestoreEmptiedTokens(const std::string& token_directory,
                            const std::string& state_directory) {
  const fs::path backup = NewestBackup(state_directory);
  std::error_code error;
  if (!fs::exists(backup, error)) return Ok();
  for (auto entry = fs::directory_iterator(backup, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const fs::path saved = entry->path() / kTokenFile;
    const fs::path token = fs::path(token_directory) / entry->path().filename();
    const fs::path live = token / kTokenFile;
    if (!fs::is_directory(token, error) || HasContent(live) || !HasContent(saved)) continue;
    fs::copy_file(saved, live, fs::copy_options::overwrite_existing, error);
    if (error) return CannotCopy(live, error);
    KMS_TRY(SyncPath(live));
  }
  if (error) return CannotCopy(backup, error);
  return Ok();
}

}  // namespace kms::pkcs11
