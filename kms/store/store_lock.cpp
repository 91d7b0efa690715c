// SPDX-License-Identifier: Apache-2.0
// StoreLock: the operating system's promise that one process, once, uses a store file.
#include "kms/store/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace kms {
namespace {

constexpr int kMaxAttempts = 8;

std::string LastSystemError() { return std::generic_category().message(errno); }

// The holder writes its process id into the file; only a hint for the message.
std::string HolderOf(int descriptor) {
  char text[32] = {};
  const ssize_t size = ::pread(descriptor, text, sizeof(text) - 1, 0);
  return size <= 0 ? std::string("another process")
                   : "process " + std::string(text, static_cast<std::size_t>(size));
}

// A lock on a file that was meanwhile unlinked protects nothing.
bool IsStillNamed(int descriptor, const std::string& path) {
  struct stat held{};
  struct stat named{};
  return ::fstat(descriptor, &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

void WriteHolder(int descriptor) {
  const std::string pid = std::to_string(::getpid());
  // Only a hint: on a full disk the lock holds all the same.
  if (::ftruncate(descriptor, 0) == 0) {
    [[maybe_unused]] const ssize_t written = ::pwrite(descriptor, pid.data(), pid.size(), 0);
  }
}

}  // namespace

Result<StoreLock> StoreLock::Acquire(const std::string& store_path) {
  const std::string path = store_path + ".lock";
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    StoreLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (lock.descriptor_ < 0) {
      return Unavailable("cannot create the lock file " + path + ": " + LastSystemError());
    }
    // flock belongs to the open file description, so it also stops a second open in this process.
    if (::flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0) {
      return FailedPrecondition("the store " + store_path + " is in use by " +
                                HolderOf(lock.descriptor_) + "; only one process may open it");
    }
    if (IsStillNamed(lock.descriptor_, path)) {
      WriteHolder(lock.descriptor_);
      return lock;
    }
  }
  return Unavailable("the lock file " + path + " keeps being replaced");
}

StoreLock::~StoreLock() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

}  // namespace kms
