// SPDX-License-Identifier: Apache-2.0
// Copying token directories so that there is a whole copy at every moment.
#include "pkcs11/token_backup.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace kms::pkcs11 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTokenFile = "token.object";

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

Status SyncTree(const fs::path& root) {
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(root, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    KMS_TRY(SyncPath(entry->path()));
  }
  if (error) return CannotCopy(root, error);
  return SyncPath(root);
}

// SoftHSM syncs nothing that it writes, so the original is synced like the copy: what is sealed
// under a new key must not outlive the key in a power cut.
Status CopyDurably(const fs::path& from, const fs::path& to) {
  KMS_TRY(SyncTree(from));
  std::error_code error;
  fs::copy(from, to, fs::copy_options::recursive, error);
  if (error) return CannotCopy(to, error);
  return SyncTree(to);
}

bool HasContent(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  return !error && size > 0;
}

std::string Trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// After a crash between the two renames only `previous` is there.
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
  std::error_code error;
  fs::remove_all(state / "backup.new", error);
  KMS_TRY(CopyDurably(token_directory, state / "backup.new"));
  if (fs::exists(state / "backup", error)) {
    fs::remove_all(state / "backup.previous", error);
    fs::rename(state / "backup", state / "backup.previous", error);
    if (error) return CannotCopy(state / "backup", error);
  }
  fs::rename(state / "backup.new", state / "backup", error);
  if (error) return CannotCopy(state / "backup", error);
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
