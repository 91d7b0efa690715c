// SPDX-License-Identifier: Apache-2.0
// What a library can still do in a real worker: the fault module tries it from inside.
#include "pkcs11/worker_rights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/pkcs11/worker_faults.h"

namespace kms::pkcs11 {
namespace {

using ::testing::AnyOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using testing::InSeconds;
using testing::IsOk;

std::string ReadWhole(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class WorkerRights : public WorkerFaults {
 protected:
  // Has the library try each, within one call that succeeds.
  void Try(const std::vector<std::string>& calls) {
    std::string rules;
    for (const std::string& call : calls) {
      rules += "C_GenerateRandom once call=" + call + "\n";
    }
    module_.SetRules(rules);
    ASSERT_THAT(device_->Random(16, InSeconds(20)), IsOk());
    EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
  }
  void ExpectRefused(const std::vector<std::string>& calls) {
    ASSERT_NO_FATAL_FAILURE(Try(calls));
    for (const std::string& call : calls) {
      EXPECT_EQ(module_.ErrnoOf(call), EPERM) << call;
    }
  }
  std::filesystem::path Proc() const {
    return "/proc/" + std::to_string(Workers().empty() ? 0 : Workers().front());
  }
};

TEST_F(WorkerRights, StartsNoProgramAndNoProcessButThreads) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  ASSERT_NO_FATAL_FAILURE(ExpectRefused({"fork", "exec"}));
  ASSERT_NO_FATAL_FAILURE(Try({"thread"}));
  EXPECT_EQ(module_.ErrnoOf("thread"), 0);
}

TEST_F(WorkerRights, H23_ALibraryCannotForkAtAll) {
  module_.SetRules("C_Initialize call=fork");
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_EQ(module_.ErrnoOf("fork"), EPERM);
}

TEST_F(WorkerRights, ReachesNoOtherProcess) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  ASSERT_NO_FATAL_FAILURE(ExpectRefused({"ptrace", "peek", "kill", "prlimit"}));
  ASSERT_NO_FATAL_FAILURE(Try({"kill_self"}));
  EXPECT_EQ(module_.ErrnoOf("kill_self"), 0);
}

TEST_F(WorkerRights, HasTheKernelSignalNobody) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  ExpectRefused({"setown", "setown_ex", "setsig", "fiosetown", "siocspgrp"});
}

TEST_F(WorkerRights, MovesAndSlowsNobodyButItself) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  ASSERT_NO_FATAL_FAILURE(ExpectRefused({"affinity", "scheduler", "schedparam", "schedattr",
                                         "priority", "priority_user", "ioprio", "ioprio_user",
                                         "migrate_pages", "move_pages"}));
  const std::vector<std::string> own = {"affinity_self", "scheduler_self", "priority_self",
                                        "ioprio_self"};
  ASSERT_NO_FATAL_FAILURE(Try(own));
  for (const std::string& call : own) {
    EXPECT_EQ(module_.ErrnoOf(call), 0) << call;
  }
}

TEST_F(WorkerRights, StaysAwayFromTheKernelAndFromOtherUsers) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  ExpectRefused({"setuid", "unshare", "umount", "chroot", "personality", "module", "bpf", "perf",
                 "keyctl", "io_uring", "userfaultfd"});
}

TEST_F(WorkerRights, HasNoNetworkUnlessTheModuleNeedsIt) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  ASSERT_NO_FATAL_FAILURE(ExpectRefused({"socket", "socket6", "netlink", "packet"}));
  ASSERT_NO_FATAL_FAILURE(Try({"unix"}));
  EXPECT_EQ(module_.ErrnoOf("unix"), 0) << "local services are reached by paths";
}

TEST_F(WorkerRights, ANetworkHsmGetsItsSocketsAndNoRawOnes) {
  options_.token.network = true;
  ASSERT_NO_FATAL_FAILURE(StartReady());
  ASSERT_NO_FATAL_FAILURE(Try({"socket", "socket6"}));
  EXPECT_EQ(module_.ErrnoOf("socket"), 0);
  EXPECT_THAT(module_.ErrnoOf("socket6"), AnyOf(0, EAFNOSUPPORT));
  ExpectRefused({"packet", "fork", "exec", "ptrace"});
}

TEST_F(WorkerRights, RightsAreGoneBeforeTheLibraryIsInitialised) {
  module_.SetRules("C_Initialize call=exec\nC_GetSlotList call=socket");
  ASSERT_NO_FATAL_FAILURE(StartReady());
  EXPECT_EQ(module_.ErrnoOf("exec"), EPERM);
  EXPECT_EQ(module_.ErrnoOf("socket"), EPERM);
}

TEST_F(WorkerRights, EveryThreadHasTheFilter) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  int threads = 0;
  for (const auto& task : std::filesystem::directory_iterator(Proc() / "task")) {
    EXPECT_THAT(ReadWhole(task.path() / "status"), HasSubstr("Seccomp:\t2"));
    ++threads;
  }
  EXPECT_GE(threads, 4);
}

TEST_F(WorkerRights, FilesDescriptorsAndMemoryAreBounded) {
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const std::string limits = ReadWhole(Proc() / "limits");
  EXPECT_THAT(limits, ContainsRegex("Max core file size +0 +0 "));
  EXPECT_THAT(limits, ContainsRegex("Max file size +1073741824 +1073741824 "));
  EXPECT_THAT(limits, ContainsRegex("Max open files +1024 +1024 "));
  EXPECT_THAT(limits, ContainsRegex("Max data size +[1-9][0-9]+ +[1-9][0-9]+ "));
}

TEST_F(WorkerRights, WithoutAMemoryLimitOnlyMemoryIsUnbounded) {
  options_.token.memory_limit_bytes = 0;
  ASSERT_NO_FATAL_FAILURE(StartReady());
  const std::string limits = ReadWhole(Proc() / "limits");
  EXPECT_THAT(limits, ContainsRegex("Max data size +unlimited +unlimited "));
  EXPECT_THAT(limits, ContainsRegex("Max open files +1024 +1024 "));
}

TEST_F(WorkerRights, ALeakFasterThanItsSupervisorEndsInTheWorker) {
  options_.token.memory_limit_bytes = std::uint64_t{128} << 20U;
  ASSERT_NO_FATAL_FAILURE(StartReady());
  module_.SetRules("C_GenerateRandom once leak=8388608");  // 8 GiB: refused by the kernel
  EXPECT_THAT(device_->Random(16, InSeconds(20)), IsOk());
  EXPECT_LT(device_->Statistics().worker_memory_bytes, std::uint64_t{128} << 20U);
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
}

}  // namespace
}  // namespace kms::pkcs11
