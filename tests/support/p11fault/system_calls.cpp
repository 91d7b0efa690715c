// SPDX-License-Identifier: Apache-2.0
// What a library in an HSM worker might try and must not get: harmless where it is allowed.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/support/p11fault/rules.h"

namespace p11fault {

namespace {

int Errno(long result) { return result < 0 ? errno : 0; }

int TrySocket(int family, int type) {
  const int fd = ::socket(family, type, 0);
  const int error = Errno(fd);
  if (fd >= 0) ::close(fd);
  return error;
}

int TryFork() {
  const pid_t child = ::fork();
  const int error = Errno(child);
  if (child == 0) ::_exit(0);
  if (child > 0) ::waitpid(child, nullptr, 0);
  return error;
}

int TryProgram() {
  char name[] = "/bin/true";
  char* const arguments[] = {name, nullptr};
  return Errno(::execve(name, arguments, nullptr));
}

int TryThread() {
  pthread_t thread{};
  const int error =
      ::pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
  if (error == 0) ::pthread_join(thread, nullptr);
  return error;
}

int TryPeek() {
  char byte = 0;
  const iovec here{.iov_base = &byte, .iov_len = 1};
  const iovec there{.iov_base = &byte, .iov_len = 1};
  return Errno(::process_vm_readv(::getppid(), &here, 1, &there, 1, 0));
}

int TryDescriptor(long call, long argument) {
  const long fd = ::syscall(call, argument, nullptr, 0, 0, 0);
  const int error = Errno(fd);
  if (fd >= 0) ::close(static_cast<int>(fd));
  return error;
}

struct SystemCall {
  std::string_view name;
  int (*attempt)();
};
constexpr std::array kSystemCalls{
    SystemCall{"socket", [] { return TrySocket(AF_INET, SOCK_STREAM); }},
    SystemCall{"socket6", [] { return TrySocket(AF_INET6, SOCK_DGRAM); }},
    SystemCall{"netlink", [] { return TrySocket(AF_NETLINK, SOCK_RAW); }},
    SystemCall{"packet", [] { return TrySocket(AF_PACKET, SOCK_RAW); }},
    SystemCall{"unix", [] { return TrySocket(AF_UNIX, SOCK_STREAM); }},
    SystemCall{"fork", TryFork},
    SystemCall{"exec", TryProgram},
    SystemCall{"thread", TryThread},
    SystemCall{"ptrace",
               [] { return Errno(::ptrace(PTRACE_SEIZE, ::getppid(), nullptr, nullptr)); }},
    SystemCall{"peek", TryPeek},
    SystemCall{"kill", [] { return Errno(::kill(::getppid(), SIGCONT)); }},
    SystemCall{"kill_self", [] { return Errno(::kill(::getpid(), SIGCONT)); }},
    SystemCall{"prlimit",
               [] { return Errno(::prlimit(::getppid(), RLIMIT_CORE, nullptr, nullptr)); }},
    SystemCall{"setuid", [] { return Errno(::syscall(SYS_setuid, ::getuid())); }},
    SystemCall{"unshare", [] { return Errno(::unshare(CLONE_FS)); }},
    SystemCall{"umount", [] { return Errno(::umount2("/nonexistent", MNT_DETACH)); }},
    SystemCall{"chroot", [] { return Errno(::chroot("/nonexistent")); }},
    SystemCall{"personality", [] { return Errno(::personality(0xffffffffUL)); }},
    SystemCall{"module", [] { return Errno(::syscall(SYS_init_module, nullptr, 0, nullptr)); }},
    SystemCall{"bpf", [] { return TryDescriptor(SYS_bpf, -1); }},
    SystemCall{"perf", [] { return TryDescriptor(SYS_perf_event_open, 0); }},
    SystemCall{"keyctl", [] { return Errno(::syscall(SYS_keyctl, 0, -3, 0)); }},
    SystemCall{"io_uring", [] { return TryDescriptor(SYS_io_uring_setup, 1); }},
    SystemCall{"userfaultfd", [] { return TryDescriptor(SYS_userfaultfd, 0); }},
};

}  // namespace

int TrySystemCall(std::string_view name) {
  for (const SystemCall& call : kSystemCalls) {
    if (call.name == name) return call.attempt();
  }
  std::fprintf(stderr, "p11fault: no system call is known as %s\n", std::string(name).c_str());
  std::abort();
}

}  // namespace p11fault
