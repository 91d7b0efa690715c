// SPDX-License-Identifier: Apache-2.0
// ChainedAuditLog: its contract, failing and stalled disks, torn ends, moved files.
#include "kms/audit/chained_audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/contract/audit_log_contract.h"
#include "tests/fakes/memory_audit_log.h"
#include "tests/kms/audit/audit_world.h"
#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const SystemClock& TestClock() {
  static const SystemClock clock;
  return clock;
}

Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(20); }

AuditLogMaker MakerOfMemoryLogs() {
  return {"Memory", [] {
            auto log = std::make_shared<MemoryAuditLog>();
            return AuditLogUnderTest{.log = log,
                                     .fail_writes = [log](bool fail) { log->FailWrites(fail); },
                                     .lines = [log] { return log->records(); }};
          }};
}

AuditLogMaker MakerOfChainedLogs(AuditDurability durability, const std::string& name) {
  return {
      name, [durability]() -> AuditLogUnderTest {
        auto disk = std::make_shared<AuditDisk>();
        auto opened = ChainedAuditLog::Open(
            {.path = "audit.log", .durability = durability, .open_file = AuditDisk::Opener(disk)},
            TestClock());
        return {.log = std::move(opened).value_or(nullptr),
                .fail_writes = [disk](bool fail) { fail ? disk->Fail(17) : disk->Heal(); },
                .lines = [disk] { return LinesOf(disk->contents()); }};
      }};
}

INSTANTIATE_TEST_SUITE_P(Logs, AuditLogContract,
                         ::testing::Values(MakerOfMemoryLogs(),
                                           MakerOfChainedLogs(AuditDurability::kWrite, "Write"),
                                           MakerOfChainedLogs(AuditDurability::kFsync, "Fsync")),
                         [](const auto& tested) { return tested.param.name; });

class ChainedAuditLogTest : public ::testing::Test {
 protected:
  void Open(AuditOptions options) {
    options.path = "audit.log";
    options.open_file = AuditDisk::Opener(disk_);
    auto opened = ChainedAuditLog::Open(std::move(options), TestClock());
    ASSERT_THAT(opened, IsOk());
    log_ = std::move(*opened);
  }

  Status Record(const std::string& name) {
    const AuditTicket ticket = KMS_TRY(log_->Append("\"type\":\"test\",\"name\":\"" + name + "\""));
    return log_->Await(ticket, Soon());
  }

  // Polls until `holds`; the log works on another thread.
  static bool Eventually(const std::function<bool()>& holds) {
    const Deadline deadline = Soon();
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) {
        return false;
      }
      std::this_thread::yield();
    }
    return true;
  }

  std::shared_ptr<AuditDisk> disk_ = std::make_shared<AuditDisk>();
  std::unique_ptr<ChainedAuditLog> log_;
};

TEST_F(ChainedAuditLogTest, WritesAChainThatVerifies) {
  Open({});
  ASSERT_THAT(Record("one"), IsOk());
  ASSERT_THAT(Record("two"), IsOk());
  const AuditReport report = VerifyText(disk_->contents());
  EXPECT_TRUE(report.ok()) << report.problem->what;
  EXPECT_EQ(report.records, 3U);  // with the one that starts the log
  EXPECT_EQ(report.head, log_->head());
}

TEST_F(ChainedAuditLogTest, ContinuesTheChainAfterReopening) {
  Open({});
  ASSERT_THAT(Record("one"), IsOk());
  log_.reset();
  Open({});
  ASSERT_THAT(Record("two"), IsOk());
  const AuditReport report = VerifyText(disk_->contents());
  EXPECT_TRUE(report.ok()) << report.problem->what;
  EXPECT_EQ(report.records, 3U);
}

TEST_F(ChainedAuditLogTest, WritesWhatIsQueuedWhenItIsClosed) {
  Open({});
  ASSERT_THAT(log_->Append(R"("name":"queued")"), IsOk());
  log_.reset();
  EXPECT_THAT(disk_->contents(), HasSubstr("queued"));
}

TEST_F(ChainedAuditLogTest, D12_RemembersTheNewestRevisionOfTheStore) {
  std::uint64_t revision = 40;
  Open({.store_revision = [&] { return revision; }});
  EXPECT_EQ(log_->store_revision_at_open(), 40U);  // its own first record has seen it
  ASSERT_THAT(Record("one"), IsOk());
  revision = 42;
  ASSERT_THAT(Record("two"), IsOk());
  log_.reset();
  revision = 7;  // an older store came back
  Open({.store_revision = [&] { return revision; }});
  EXPECT_EQ(log_->store_revision_at_open(), 42U);
  ASSERT_THAT(Record("written although it is older"), IsOk());
  log_.reset();
  Open({.store_revision = [&] { return revision; }});
  EXPECT_EQ(log_->store_revision_at_open(), 42U) << "a refused start must not be forgotten";
  EXPECT_TRUE(VerifyText(disk_->contents()).ok());
}

TEST_F(ChainedAuditLogTest, D12_ForgetsItOnlyWhenTheOlderStoreIsAccepted) {
  Open({.store_revision = [] { return std::uint64_t{42}; }});
  ASSERT_THAT(Record("one"), IsOk());
  log_.reset();
  const auto older = [] { return std::uint64_t{7}; };
  Open({.store_revision = older});
  ASSERT_THAT(log_->AcceptStore(7), IsOk());
  EXPECT_THAT(disk_->contents(), HasSubstr(R"("seen_revision":42,"accepted_revision":7)"));
  ASSERT_THAT(Record("two"), IsOk());
  log_.reset();
  Open({.store_revision = older});
  EXPECT_EQ(log_->store_revision_at_open(), 7U);
  EXPECT_TRUE(VerifyText(disk_->contents()).ok());
}

TEST_F(ChainedAuditLogTest, D12_ATornRecordHidesNoRevision) {
  Open({.store_revision = [] { return std::uint64_t{42}; }});
  ASSERT_THAT(Record("one"), IsOk());
  log_.reset();
  disk_->Set(disk_->contents() + "{\"seq\":99,\"torn");
  const auto older = [] { return std::uint64_t{7}; };
  for (int start = 0; start < 2; ++start) {  // the first one writes a record of the repair
    Open({.store_revision = older});
    EXPECT_EQ(log_->store_revision_at_open(), 42U);
    log_.reset();
  }
}

TEST_F(ChainedAuditLogTest, L12_RefusesMembersThatAreNotOneLine) {
  Open({});
  EXPECT_THAT(log_->Append("\"a\":1}\n{\"forged\":1"), HasError(ErrorCode::kInternal));
  EXPECT_THAT(log_->Append(""), HasError(ErrorCode::kInternal));
  EXPECT_THAT(log_->Append(std::string(std::size_t{1} << 20U, 'x')),
              HasError(ErrorCode::kInternal));
}

TEST_F(ChainedAuditLogTest, L8_LeavesNoHalfRecordAndKeepsTheChain) {
  Open({.retry_interval = std::chrono::hours(1)});
  ASSERT_THAT(Record("before"), IsOk());
  for (std::size_t torn = 0; torn < 300; torn += 23) {
    disk_->Fail(torn);
    EXPECT_THAT(Record("lost"), HasError(ErrorCode::kUnavailable));
    EXPECT_TRUE(VerifyText(disk_->contents()).ok());
    disk_->Heal();
    EXPECT_THAT(Record("after"), IsOk());
  }
  const AuditReport report = VerifyText(disk_->contents());
  EXPECT_TRUE(report.ok()) << report.problem->what;
  EXPECT_THAT(disk_->contents(), Not(HasSubstr("lost")));
}

TEST_F(ChainedAuditLogTest, L8_RecordsHowManyRecordsWereRefused) {
  Open({.retry_interval = std::chrono::hours(1)});
  disk_->Fail();
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(Record("lost"), HasError(ErrorCode::kUnavailable));
  }
  disk_->Heal();
  ASSERT_THAT(Record("after"), IsOk());
  EXPECT_THAT(LinesOf(disk_->contents()),
              Contains(AllOf(HasSubstr("log_recovered"), HasSubstr("\"refused\":3"),
                             HasSubstr("No space left"))));
}

TEST_F(ChainedAuditLogTest, L8_CutsTheTornPartLaterWhenCuttingFailsToo) {
  Open({.retry_interval = std::chrono::hours(1)});
  disk_->Fail(40, /*truncate_too=*/true);
  ASSERT_THAT(Record("lost"), HasError(ErrorCode::kUnavailable));
  ASSERT_FALSE(VerifyText(disk_->contents()).ok());
  ASSERT_THAT(Record("lost"), HasError(ErrorCode::kUnavailable));
  disk_->Heal();
  ASSERT_THAT(Record("after"), IsOk());
  EXPECT_TRUE(VerifyText(disk_->contents()).ok());
}

TEST_F(ChainedAuditLogTest, L8_FailsRecordsWhoseSyncFailed) {
  Open({.durability = AuditDurability::kFsync, .retry_interval = std::chrono::hours(1)});
  disk_->FailSync(true);
  EXPECT_THAT(Record("lost"), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(disk_->contents(), Not(HasSubstr("lost")));
  disk_->FailSync(false);
  EXPECT_THAT(Record("after"), IsOk());
}

TEST_F(ChainedAuditLogTest, L8_HealsByItselfWhenNobodyAsks) {
  Open({.retry_interval = std::chrono::milliseconds(1)});
  disk_->Fail();
  ASSERT_THAT(Record("lost"), HasError(ErrorCode::kUnavailable));
  ASSERT_FALSE(log_->healthy());
  disk_->Heal();
  EXPECT_TRUE(Eventually([&] { return log_->healthy(); }));
  EXPECT_THAT(disk_->contents(), HasSubstr("log_recovered"));
}

TEST_F(ChainedAuditLogTest, L8_RemembersWhichOfManyTicketsFailed) {
  Open({.retry_interval = std::chrono::hours(1)});
  std::vector<std::pair<AuditTicket, AuditState>> expected;
  for (int i = 0; i < 40; ++i) {
    const bool fails = i % 3 == 0;
    fails ? disk_->Fail() : disk_->Heal();
    KMS_ASSERT_OK_AND_ASSIGN(const AuditTicket ticket, log_->Append(R"("n":1)"));
    EXPECT_EQ(log_->Await(ticket, Soon()).has_value(), !fails);
    expected.emplace_back(ticket, fails ? AuditState::kFailed : AuditState::kCommitted);
  }
  for (const auto& [ticket, state] : expected) {
    EXPECT_EQ(log_->State(ticket), state) << ticket;
  }
}

TEST_F(ChainedAuditLogTest, L9_RefusesWhileAWriteIsStalledAndGoesOnAfterwards) {
  Open({.stall_timeout = std::chrono::milliseconds(20)});
  ASSERT_THAT(Record("before"), IsOk());
  disk_->Stall(true);
  KMS_ASSERT_OK_AND_ASSIGN(const AuditTicket stuck, log_->Append(R"("name":"stuck")"));
  EXPECT_THAT(log_->Await(stuck, Soon()), HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(log_->State(stuck), AuditState::kFailed);
  EXPECT_FALSE(log_->healthy());
  EXPECT_THAT(log_->Append(R"("name":"refused")"), HasError(ErrorCode::kUnavailable));
  disk_->Stall(false);
  EXPECT_TRUE(Eventually([&] { return log_->healthy(); }));
  EXPECT_THAT(Record("after"), IsOk());
  EXPECT_TRUE(VerifyText(disk_->contents()).ok());
}

TEST_F(ChainedAuditLogTest, L9_TellsListenersOfAStall) {
  Open({.stall_timeout = std::chrono::milliseconds(20)});
  std::atomic<AuditTicket> stuck{0};
  std::atomic<bool> told{false};
  log_->Subscribe([&] {
    const AuditTicket ticket = stuck.load();
    told = told.load() || (ticket != 0 && log_->State(ticket) == AuditState::kFailed);
  });
  disk_->Stall(true);
  KMS_ASSERT_OK_AND_ASSIGN(stuck, log_->Append(R"("name":"stuck")"));
  log_->Wake();
  EXPECT_TRUE(Eventually([&] { return told.load(); }));
  disk_->Stall(false);
}

TEST_F(ChainedAuditLogTest, L9_BoundsTheQueueByRecordsAndBytes) {
  Open({.max_queued_bytes = 100, .max_queued_records = 5});
  for (int i = 0; i < 5; ++i) {
    ASSERT_THAT(log_->Append(R"("n":1)"), IsOk());
  }
  EXPECT_THAT(log_->Append(R"("n":1)"), HasError(ErrorCode::kUnavailable));
  ASSERT_THAT(log_->Await(5, Soon()), IsOk());
  EXPECT_THAT(log_->Append(std::string(101, 'x')), HasError(ErrorCode::kUnavailable));
}

TEST_F(ChainedAuditLogTest, L9_AwaitGivesUpAtItsDeadline) {
  Open({});
  disk_->Stall(true);
  KMS_ASSERT_OK_AND_ASSIGN(const AuditTicket ticket, log_->Append(R"("n":1)"));
  EXPECT_THAT(log_->Await(ticket, std::chrono::steady_clock::now()),
              HasError(ErrorCode::kUnavailable));
  disk_->Stall(false);
}

TEST_F(ChainedAuditLogTest, L10_CutsTheLastRecordTornAtAnyByteAndRecordsTheCut) {
  Open({});
  ASSERT_THAT(Record("one"), IsOk());
  const std::string whole = disk_->contents();
  ASSERT_THAT(Record("two"), IsOk());
  const std::string longer = disk_->contents();
  log_.reset();
  for (std::size_t size = whole.size() + 1; size < longer.size(); ++size) {
    disk_->Set(longer.substr(0, size));
    Open({});
    const std::string repaired = disk_->contents();
    EXPECT_TRUE(repaired.starts_with(whole));
    EXPECT_THAT(repaired,
                AllOf(HasSubstr("log_repaired"),
                      HasSubstr("\"cut_bytes\":" + std::to_string(size - whole.size()) + ",")));
    ASSERT_THAT(Record("three"), IsOk());
    const AuditReport report = VerifyText(disk_->contents());
    EXPECT_TRUE(report.ok()) << size << ": " << report.problem->what;
    EXPECT_EQ(report.records, 4U);
    log_.reset();
  }
}

TEST_F(ChainedAuditLogTest, L10_NeverCutsAWholeRecord) {
  Open({});
  ASSERT_THAT(Record("one"), IsOk());
  const std::string whole = disk_->contents();
  log_.reset();
  Open({});
  EXPECT_EQ(disk_->contents(), whole);
}

TEST_F(ChainedAuditLogTest, L10_StartsAgainWhenTheVeryFirstRecordWasTorn) {
  disk_->Set(R"({"seq":1,"prev":"00)");
  Open({});
  ASSERT_THAT(Record("one"), IsOk());
  EXPECT_TRUE(VerifyText(disk_->contents()).ok());
  EXPECT_THAT(disk_->contents(), HasSubstr("log_repaired"));
}

TEST_F(ChainedAuditLogTest, RefusesAFileWhoseLastLineIsNoRecord) {
  for (const char* contents :
       {"hello\n", "\n", "{\"seq\":1}\n", "{\"seq\":1,\"prev\":\"00\",}\n"}) {
    disk_->Set(contents);
    EXPECT_THAT(ChainedAuditLog::Open(
                    {.path = "/var/audit.log", .open_file = AuditDisk::Opener(disk_)}, TestClock()),
                HasError(ErrorCode::kCorrupted,
                         AllOf(HasSubstr("/var/audit.log"), HasSubstr("move it aside"))));
    EXPECT_EQ(disk_->contents(), contents);
  }
}

TEST_F(ChainedAuditLogTest, L11_ContinuesTheChainInANewFileWhenTheOldOneWasMoved) {
  Open({.check_interval = std::chrono::milliseconds(0)});
  ASSERT_THAT(Record("one"), IsOk());
  disk_->Replace();
  ASSERT_THAT(Record("two"), IsOk());
  ASSERT_EQ(disk_->archived().size(), 1U);
  EXPECT_THAT(disk_->contents(), AllOf(HasSubstr("log_continued"), HasSubstr("two")));
  const AuditReport report = VerifyText(disk_->archived()[0] + disk_->contents());
  EXPECT_TRUE(report.ok()) << report.problem->what;
}

TEST_F(ChainedAuditLogTest, L11_RecordsThatSomeoneElseWroteOrCut) {
  Open({.check_interval = std::chrono::milliseconds(0)});
  ASSERT_THAT(Record("one"), IsOk());
  disk_->Set(disk_->contents() + "foreign");
  ASSERT_THAT(Record("two"), IsOk());
  EXPECT_THAT(LinesOf(disk_->contents()), Contains(HasSubstr("log_disturbed")));
  const AuditReport report = VerifyText(disk_->contents());
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.problem->line, 3U);
}

TEST(ChainedAuditLogFile, IsPrivateAndFollowsRotation) {
  const AuditDirectory directory;
  KMS_ASSERT_OK_AND_ASSIGN(const auto log,
                           ChainedAuditLog::Open({.path = directory.path()}, TestClock()));
  KMS_ASSERT_OK_AND_ASSIGN(AuditTicket ticket, log->Append(R"("name":"one")"));
  ASSERT_THAT(log->Await(ticket, Soon()), IsOk());
  struct stat file{};
  ASSERT_EQ(::stat(directory.path().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);

  ASSERT_EQ(::rename(directory.path().c_str(), directory.path("audit.log.1").c_str()), 0);
  log->Reopen();
  KMS_ASSERT_OK_AND_ASSIGN(ticket, log->Append(R"("name":"two")"));
  ASSERT_THAT(log->Await(ticket, Soon()), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const AuditReport report,
                           VerifyAuditFiles({directory.path("audit.log.1"), directory.path()}, {}));
  EXPECT_TRUE(report.ok()) << report.problem->what;
  EXPECT_THAT(ReadWholeFile(directory.path()), HasSubstr("\"two\""));
}

TEST(ChainedAuditLogFile, RefusesWhatIsNotARegularFile) {
  const AuditDirectory directory;
  ASSERT_EQ(::mkfifo(directory.path().c_str(), 0600), 0);
  EXPECT_THAT(ChainedAuditLog::Open({.path = directory.path()}, TestClock()),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr(directory.path())));
}

TEST(ChainedAuditLogFile, NamesAFileThatCannotBeOpened) {
  EXPECT_THAT(ChainedAuditLog::Open({.path = "/nonexistent/audit.log"}, TestClock()),
              HasError(ErrorCode::kUnavailable, HasSubstr("/nonexistent/audit.log")));
}

// Fills a file up to the size limit of this process, checks refusal, lifts the limit, checks
// healing. Runs in a child: the limit holds for every file.
int FillToTheLimit(const std::string& path) {
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{.rlim_cur = 4096, .rlim_max = limit.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  auto log = ChainedAuditLog::Open({.path = path}, TestClock());
  if (!log.has_value()) {
    return 1;
  }
  const auto record = [&] {
    const auto ticket = (*log)->Append("\"pad\":\"" + std::string(200, 'p') + "\"");
    return ticket.has_value() && (*log)->Await(*ticket, Soon()).has_value();
  };
  int written = 0;
  while (record() && written < 100) {
    ++written;
  }
  const bool refused = written > 5 && written < 100 && !(*log)->healthy();
  ::setrlimit(RLIMIT_FSIZE, &limit);
  return refused && record() && (*log)->healthy() ? 0 : 2;
}

TEST(ChainedAuditLogFile, L8_RefusesAtTheSizeLimitAndHealsWhenItIsLifted) {
  const AuditDirectory directory;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::_exit(FillToTheLimit(directory.path()));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  KMS_ASSERT_OK_AND_ASSIGN(const AuditReport report, VerifyAuditFiles({directory.path()}, {}));
  EXPECT_TRUE(report.ok()) << report.problem->what;
}

}  // namespace
}  // namespace kms::testing
