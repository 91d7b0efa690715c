// SPDX-License-Identifier: Apache-2.0
// What a library in an HSM worker might try and must not get: harmless where it is allowed.
#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
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

// Has the kernel signal the parent about a socket on which nothing ever happens.
int TryOwner(int command) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  const f_owner_ex owner{.type = F_OWNER_PID, .pid = ::getppid()};
  const int error = command == F_SETOWN_EX ? Errno(::fcntl(fd, command, &owner))
                    : command == F_SETSIG  ? Errno(::fcntl(fd, command, SIGURG))
                                           : Errno(::fcntl(fd, command, ::getppid()));
  ::close(fd);
  return error;
}

int TryOwnerByIoctl(unsigned long request) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  const int owner = ::getppid();
  const int error = Errno(::ioctl(fd, request, &owner));
  ::close(fd);
  return error;
}

// Sets what is set already.
int TryAffinity(pid_t process) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  ::sched_getaffinity(process, sizeof(cpus), &cpus);
  return Errno(::sched_setaffinity(process, sizeof(cpus), &cpus));
}

int TryScheduler(pid_t process) {
  const sched_param ordinary{.sched_priority = 0};
  return Errno(::sched_setscheduler(process, SCHED_OTHER, &ordinary));
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
    SystemCall{"setown", [] { return TryOwner(F_SETOWN); }},
    SystemCall{"setown_ex", [] { return TryOwner(F_SETOWN_EX); }},
    SystemCall{"setsig", [] { return TryOwner(F_SETSIG); }},
    SystemCall{"fiosetown", [] { return TryOwnerByIoctl(FIOSETOWN); }},
    SystemCall{"siocspgrp", [] { return TryOwnerByIoctl(SIOCSPGRP); }},
    SystemCall{"affinity", [] { return TryAffinity(::getppid()); }},
    SystemCall{"affinity_self", [] { return TryAffinity(0); }},
    SystemCall{"scheduler", [] { return TryScheduler(::getppid()); }},
    SystemCall{"scheduler_self", [] { return TryScheduler(0); }},
    SystemCall{"schedparam",
               [] {
                 const sched_param ordinary{.sched_priority = 0};
                 return Errno(::sched_setparam(::getppid(), &ordinary));
               }},
    SystemCall{"schedattr", [] { return Errno(::syscall(SYS_sched_setattr, ::getppid(), 0, 0)); }},
    SystemCall{"priority", [] { return Errno(::setpriority(PRIO_PROCESS, id_t(::getppid()), 0)); }},
    SystemCall{"priority_user", [] { return Errno(::setpriority(PRIO_USER, 0, 0)); }},
    SystemCall{"priority_self",
               [] { return Errno(::setpriority(PRIO_PROCESS, 0, ::getpriority(PRIO_PROCESS, 0))); }},
    SystemCall{"ioprio", [] { return Errno(::syscall(SYS_ioprio_set, 1, ::getppid(), 0)); }},
    SystemCall{"ioprio_user", [] { return Errno(::syscall(SYS_ioprio_set, 3, 0, 0)); }},
    SystemCall{"ioprio_self", [] { return Errno(::syscall(SYS_ioprio_set, 1, 0, 0)); }},
    SystemCall{"migrate_pages",
               [] { return Errno(::syscall(SYS_migrate_pages, ::getppid(), 0, 0, 0)); }},
    SystemCall{"move_pages",
               [] { return Errno(::syscall(SYS_move_pages, ::getppid(), 0, 0, 0, 0, 0)); }},
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
