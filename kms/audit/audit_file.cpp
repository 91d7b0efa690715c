// SPDX-License-Identifier: Apache-2.0
// AuditFile on POSIX calls.
#include "kms/audit/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "kms/base/unique_fd.h"

namespace kms {
namespace {

Error FileError(std::string_view doing, const std::string& path) {
  return Unavailable("the audit log is not available", std::string(doing) + " " + path + ": " +
                                                           std::generic_category().message(errno));
}

class PosixAuditFile final : public AuditFile {
 public:
  PosixAuditFile(std::string path, UniqueFd descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

  Result<std::uint64_t> Size() override {
    struct stat file{};
    if (::fstat(descriptor_.get(), &file) != 0) {
      return FileError("stat", path_);
    }
    return static_cast<std::uint64_t>(file.st_size);
  }

  Result<std::string> ReadAt(std::uint64_t offset, std::size_t size) override {
    std::string bytes(size, '\0');
    std::size_t filled = 0;
    while (filled < size) {
      const ssize_t got = ::pread(descriptor_.get(), bytes.data() + filled, size - filled,
                                  static_cast<off_t>(offset + filled));
      if (got < 0 && errno == EINTR) {
        continue;
      }
      if (got < 0) {
        return FileError("read", path_);
      }
      if (got == 0) {
        break;
      }
      filled += static_cast<std::size_t>(got);
    }
    bytes.resize(filled);
    return bytes;
  }

  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written =
          ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) {
        continue;
      }
      if (written <= 0) {
        return FileError("write", path_);
      }
      offset += static_cast<std::uint64_t>(written);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return Ok();
  }

  Status Sync() override {
    return ::fdatasync(descriptor_.get()) == 0 ? Ok() : FileError("sync", path_);
  }

  Status Truncate(std::uint64_t size) override {
    return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)) == 0
               ? Ok()
               : FileError("truncate", path_);
  }

  bool IsStillNamed() override {
    struct stat held{};
    struct stat named{};
    return ::fstat(descriptor_.get(), &held) == 0 && ::stat(path_.c_str(), &named) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
  }

 private:
  const std::string path_;
  const UniqueFd descriptor_;
};

// The name must survive a power cut as well as what is in the file.
void SyncDirectoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const UniqueFd descriptor(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() >= 0) {
    // Some file systems cannot sync a directory; the file itself is synced by the log.
    [[maybe_unused]] const int ignored = ::fsync(descriptor.get());
  }
}

}  // namespace

Result<std::unique_ptr<AuditFile>> OpenAuditFile(const std::string& path) {
  // Without O_NONBLOCK, opening a pipe that nobody reads would hang the start.
  UniqueFd descriptor(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600));
  if (descriptor.get() < 0) {
    const std::string reason = std::generic_category().message(errno);
    return Unavailable("the audit log " + path + " cannot be opened: " + reason);
  }
  struct stat file{};
  if (::fstat(descriptor.get(), &file) != 0 || !S_ISREG(file.st_mode)) {
    return FailedPrecondition("the audit log " + path + " is not a regular file");
  }
  if ((file.st_mode & 0077) != 0 && ::fchmod(descriptor.get(), 0600) != 0) {
    return FailedPrecondition("the audit log " + path + " is open to other users: chmod 0600 it");
  }
  SyncDirectoryOf(path);
  return std::make_unique<PosixAuditFile>(path, std::move(descriptor));
}

}  // namespace kms
