// SPDX-License-Identifier: Apache-2.0
// posix_spawn, not fork: a process with threads and locked secrets is never duplicated.
#include "pkcs11/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <utility>

#include "pkcs11/worker_server.h"
#include "pkcs11/worker_socket.h"

namespace kms::pkcs11 {

namespace {

// Above the numbers that the worker's descriptors get, so that no dup2 hits its own source.
constexpr int kLowestHeldDescriptor = 10;

Error CannotStart(const std::string& what, int error) {
  return Unavailable("HSM worker cannot be started", what + ": " + std::strerror(error));
}

class SpawnedWorker final : public WorkerProcess {
 public:
  SpawnedWorker(pid_t pid, UniqueFd pid_fd, UniqueFd socket)
      : pid_(pid), pid_fd_(std::move(pid_fd)), socket_(std::move(socket)) {}
  SpawnedWorker(const SpawnedWorker&) = delete;
  SpawnedWorker& operator=(const SpawnedWorker&) = delete;
  ~SpawnedWorker() override {
    if (!reaped_) {
      SpawnedWorker::Kill();
      SpawnedWorker::WaitForEnd(std::chrono::steady_clock::now() + std::chrono::seconds(1));
    }
  }

  [[nodiscard]] int socket() const override { return socket_.get(); }
  void Close() override { socket_.Close(); }
  void Kill() override { ::kill(pid_, SIGKILL); }

  bool WaitForEnd(Deadline deadline) override {
    while (!reaped_) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd ended{.fd = pid_fd_.get(), .events = POLLIN, .revents = 0};
      const int count = ::poll(&ended, 1, static_cast<int>(std::max<long>(left.count(), 0)));
      if (count > 0) {
        Reap();
      } else if (count == 0) {
        return false;
      }
    }
    return true;
  }

  // The pid is its own until it is reaped, so this is never another process's.
  [[nodiscard]] std::uint64_t MemoryBytes() const override {
    std::ifstream statm("/proc/" + std::to_string(pid_) + "/statm");
    std::uint64_t mapped = 0;
    std::uint64_t resident = 0;
    statm >> mapped >> resident;
    return statm ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
  }

  [[nodiscard]] std::string ending() const override { return ending_; }

 private:
  void Reap() {
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(pid_fd_.get()), &info, WEXITED) != 0) {
      ending_ = "ended";  // reaped elsewhere: SIGCHLD is ignored in this process
    } else if (info.si_code == CLD_EXITED) {
      ending_ = "exited with status " + std::to_string(info.si_status);
    } else {
      ending_ = "was killed by signal " + std::to_string(info.si_status);
    }
    reaped_ = true;
  }

  const pid_t pid_;
  const UniqueFd pid_fd_;
  UniqueFd socket_;
  bool reaped_ = false;
  std::string ending_ = "runs";
};

// posix_spawn's two parameter blocks.
class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  void Inherit(int fd, int as) { ::posix_spawn_file_actions_adddup2(&actions_, fd, as); }
  void OpenNull(int as, int flags) {
    ::posix_spawn_file_actions_addopen(&actions_, as, "/dev/null", flags, 0);
  }
  void CloseFrom(int fd) { ::posix_spawn_file_actions_addclosefrom_np(&actions_, fd); }

  Result<pid_t> Spawn(const SpawnOptions& options) {
    std::vector<std::string> arguments = options.arguments;
    arguments.insert(arguments.begin(), options.program);
    std::vector<std::string> environment = options.environment;
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, options.program.c_str(), &actions_, &attributes_,
                                    Pointers(arguments).data(), Pointers(environment).data());
    if (error != 0) {
      return CannotStart(options.program, error);
    }
    return pid;
  }

 private:
  static std::vector<char*> Pointers(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) {
      pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    return pointers;
  }

  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

Result<UniqueFd> MoveUp(const UniqueFd& fd) {
  UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kLowestHeldDescriptor));
  if (moved.get() < 0) {
    return CannotStart("fcntl", errno);
  }
  return moved;
}

// The reading end of a pipe that holds `pin` (at most 255 bytes, so the write never blocks).
Result<UniqueFd> MakePinPipe(const SecretBytes& pin) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) {
    return CannotStart("pipe2", errno);
  }
  const UniqueFd reader(fds[0]);
  const UniqueFd writer(fds[1]);
  if (::write(writer.get(), pin.View().data(), pin.size()) != static_cast<ssize_t>(pin.size())) {
    return CannotStart("pipe", errno);
  }
  return MoveUp(reader);
}

}  // namespace

Result<std::unique_ptr<WorkerProcess>> SpawnWorker(const SpawnOptions& options) {
  SocketPair sockets = KMS_TRY(MakeSocketPair());
  const UniqueFd theirs = KMS_TRY(MoveUp(sockets.theirs));
  sockets.theirs.Close();
  SpawnPlan plan;
  plan.OpenNull(STDIN_FILENO, O_RDONLY);
  plan.OpenNull(STDOUT_FILENO, O_WRONLY);
  plan.Inherit(theirs.get(), kWorkerSocket);
  UniqueFd pin_pipe;
  if (options.pin != nullptr && !options.pin->empty()) {
    pin_pipe = KMS_TRY(MakePinPipe(*options.pin));
    plan.Inherit(pin_pipe.get(), kWorkerPinPipe);
  }
  plan.CloseFrom(pin_pipe.get() < 0 ? kWorkerPinPipe : kWorkerPinPipe + 1);
  const pid_t pid = KMS_TRY(plan.Spawn(options));
  // Not glibc's wrapper: the header of 2.36 declares it with C++ linkage.
  UniqueFd pid_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (pid_fd.get() < 0) {
    const int error = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return CannotStart("pidfd_open", error);
  }
  return std::unique_ptr<WorkerProcess>(
      std::make_unique<SpawnedWorker>(pid, std::move(pid_fd), std::move(sockets.ours)));
}

}  // namespace kms::pkcs11
