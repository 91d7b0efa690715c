// SPDX-License-Identifier: Apache-2.0
// A list of what is refused, not of what is allowed: vendors' libraries need calls that nobody here
// has heard of, and one that dies of a filter looks like an HSM that fails.
#include "pkcs11/worker_rights.h"

#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <span>
#include <vector>

namespace kms::pkcs11 {

namespace {

constexpr rlim_t kMostDescriptors = 1024;
constexpr rlim_t kLargestFile = rlim_t{1} << 30U;
// Above twice the memory limit, which the supervisor watches, so that only a leak that is faster
// than its eyes meets this one. Stacks and arenas of threads count as soon as they are reserved.
constexpr std::uint64_t kMemorySlack = std::uint64_t{512} << 20U;
constexpr std::uint64_t kLowHalf = 0xffffffffU;  // arguments of type int: the kernel reads no more

// Nothing of this is needed by a client of an HSM.
constexpr int kRefused[] = {
    // programs and processes; clone is judged by its flags
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork),
    // other processes' memory, descriptors and signals
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise), SCMP_SYS(kcmp), SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(tkill),
    // being somebody else
    SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid),
    SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid),
    SCMP_SYS(setgroups), SCMP_SYS(capset), SCMP_SYS(personality),
    // namespaces and file systems
    SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
    SCMP_SYS(chroot), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr),
    SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(quotactl), SCMP_SYS(open_by_handle_at),
    SCMP_SYS(fanotify_init),
    // the kernel
    SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(bpf), SCMP_SYS(perf_event_open),
    SCMP_SYS(syslog), SCMP_SYS(acct), SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(modify_ldt),
    SCMP_SYS(vhangup), SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex),
    // what attacks on kernels are made of; io_uring would also pass by these rules
    SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
    SCMP_SYS(userfaultfd), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl)};

// Sockets that reach past the network stack's own rules, or into the kernel.
constexpr int kRefusedFamilies[] = {AF_PACKET, AF_ALG, AF_KEY, AF_BLUETOOTH, AF_TIPC, AF_XDP};

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ALLOW), seccomp_release) {
    Note(context_ == nullptr ? -ENOMEM : 0);
    if (context_ != nullptr) {
      Note(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1));
      Note(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
    }
  }

  void Refuse(int call, std::vector<scmp_arg_cmp> when = {}, int error = EPERM) {
    if (failure_ == 0) {
      Note(seccomp_rule_add_array(context_.get(),
                                  SCMP_ACT_ERRNO(static_cast<std::uint32_t>(error)), call,
                                  static_cast<unsigned>(when.size()), when.data()));
    }
  }

  // 0, or the negative number of the error.
  int Load() {
    if (failure_ == 0) {
      Note(seccomp_load(context_.get()));
    }
    return failure_;
  }

 private:
  void Note(int result) { failure_ = failure_ == 0 && result < 0 ? result : failure_; }

  const std::unique_ptr<void, decltype(&seccomp_release)> context_;
  int failure_ = 0;
};

scmp_arg_cmp Differs(unsigned argument, std::uint64_t from) {
  return {.arg = argument, .op = SCMP_CMP_NE, .datum_a = from, .datum_b = 0};
}

scmp_arg_cmp Masked(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

// Threads, but no processes. The flags of clone3 lie in memory, where no filter sees them: without
// it the C library falls back to clone.
void RefuseProcesses(Filter& filter) {
  filter.Refuse(SCMP_SYS(clone), {Masked(0, CLONE_THREAD, 0)});
  filter.Refuse(SCMP_SYS(clone3), {}, ENOSYS);
}

// abort() signals its own process, and asking whether another one lives (signal 0) is harmless.
void RefuseForeignProcesses(Filter& filter) {
  const auto self = static_cast<std::uint64_t>(::getpid());
  filter.Refuse(SCMP_SYS(kill), {Differs(0, self), Differs(1, 0)});
  filter.Refuse(SCMP_SYS(tgkill), {Differs(0, self)});
  filter.Refuse(SCMP_SYS(rt_sigqueueinfo), {Differs(0, self)});
  filter.Refuse(SCMP_SYS(rt_tgsigqueueinfo), {Differs(0, self)});
  filter.Refuse(SCMP_SYS(prlimit64), {Differs(0, 0)});
}

// A descriptor that has another process for its owner has the kernel signal it, with any signal.
void RefuseForeignSignals(Filter& filter) {
  for (const int command : {F_SETOWN, F_SETOWN_EX, F_SETSIG}) {
    filter.Refuse(SCMP_SYS(fcntl), {Masked(1, kLowHalf, static_cast<std::uint64_t>(command))});
  }
  for (const unsigned request : {unsigned{FIOSETOWN}, unsigned{SIOCSPGRP}}) {
    filter.Refuse(SCMP_SYS(ioctl), {Masked(1, kLowHalf, request)});
  }
}

// Where, when and how often others run. A library may do all of it to its calling thread, which is
// process 0 in these calls.
void RefuseForeignSchedules(Filter& filter) {
  for (const int call :
       {SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_setparam),
        SCMP_SYS(sched_setattr), SCMP_SYS(migrate_pages), SCMP_SYS(move_pages)}) {
    filter.Refuse(call, {Differs(0, 0)});
  }
  constexpr std::uint64_t kOneByIoPriority = 1;  // IOPRIO_WHO_PROCESS
  filter.Refuse(SCMP_SYS(setpriority), {Differs(0, PRIO_PROCESS)});
  filter.Refuse(SCMP_SYS(setpriority), {Differs(1, 0)});
  filter.Refuse(SCMP_SYS(ioprio_set), {Differs(0, kOneByIoPriority)});
  filter.Refuse(SCMP_SYS(ioprio_set), {Differs(1, 0)});
}

void RefuseSockets(Filter& filter, bool network) {
  if (!network) {
    filter.Refuse(SCMP_SYS(socket), {Differs(0, AF_UNIX)});
    return;
  }
  for (const int family : kRefusedFamilies) {
    filter.Refuse(SCMP_SYS(socket), {Masked(0, kLowHalf, static_cast<std::uint64_t>(family))});
  }
}

Error CannotLimit(const char* what, int error) {
  return FailedPrecondition(
      "the HSM worker cannot give up its rights, and loads no library with them; run it on a "
      "kernel with seccomp filters",
      std::string(what) + ": " + std::strerror(error));
}

// Never raises a limit.
Status Bound(__rlimit_resource resource, rlim_t most, const char* name) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) == 0) {
    limit.rlim_max = std::min(limit.rlim_max, most);
    limit.rlim_cur = std::min(limit.rlim_cur, most);
    if (::setrlimit(resource, &limit) == 0) {
      return Ok();
    }
  }
  return CannotLimit(name, errno);
}

// Private writable memory that is mapped now, in bytes; 0 when the kernel does not say.
std::uint64_t MappedData() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0;
  for (int field = 0; field < 6 && statm >> pages; ++field) {
  }
  return statm ? pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

Status BoundResources(const TokenOptions& options) {
  ::signal(SIGXFSZ, SIG_IGN);  // a full log of the library is its own trouble
  KMS_TRY(Bound(RLIMIT_NOFILE, kMostDescriptors, "RLIMIT_NOFILE"));
  KMS_TRY(Bound(RLIMIT_FSIZE, kLargestFile, "RLIMIT_FSIZE"));
  const std::uint64_t mapped = MappedData();
  if (options.memory_limit_bytes == 0 || mapped == 0 ||
      options.memory_limit_bytes > std::uint64_t{1} << 60U) {
    return Ok();
  }
  return Bound(RLIMIT_DATA, mapped + 2 * options.memory_limit_bytes + kMemorySlack, "RLIMIT_DATA");
}

}  // namespace

Status LimitWorkerRights(const TokenOptions& options) {
  KMS_TRY(BoundResources(options));
  Filter filter;
  for (const int call : kRefused) {
    filter.Refuse(call);
  }
  RefuseProcesses(filter);
  RefuseForeignProcesses(filter);
  RefuseForeignSignals(filter);
  RefuseForeignSchedules(filter);
  RefuseSockets(filter, options.network);
  const int failure = filter.Load();
  return failure == 0 ? Ok() : Status(CannotLimit("seccomp", -failure));
}

}  // namespace kms::pkcs11
