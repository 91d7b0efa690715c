// SPDX-License-Identifier: Apache-2.0
// Lock files.
#include "pkcs11/token_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "kms/base/digest.h"

namespace kms::pkcs11 {

Result<std::unique_ptr<FileLock>> FileLock::Acquire(const std::string& path, Deadline deadline) {
  constexpr auto kRetryPause = std::chrono::milliseconds(10);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                        S_IRUSR | S_IWUSR);
  if (fd < 0) {
    return FailedPrecondition(
        "the lock file of the SoftHSM token cannot be made; create its state directory for this "
        "user",
        path + ": " + std::strerror(errno));
  }
  std::unique_ptr<FileLock> lock(new FileLock(fd));
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return Unavailable("another process uses the SoftHSM token; stop it first", path);
    }
    std::this_thread::sleep_for(kRetryPause);
  }
  return lock;
}

FileLock::~FileLock() { ::close(fd_); }

std::string LoginLockPath(const std::string& state_directory) {
  return state_directory + "/login.lock";
}

std::string OwnerLockPath(const std::string& state_directory, const std::string& token_label) {
  constexpr std::size_t kNameBytes = 8;
  return state_directory + "/owner-" +
         HexEncode(ByteView(Sha256(AsBytes(token_label))).first(kNameBytes)) + ".lock";
}

}  // namespace kms::pkcs11
