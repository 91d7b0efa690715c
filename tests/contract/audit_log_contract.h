// SPDX-License-Identifier: Apache-2.0
// The contract of AuditLog: what every implementation, real or fake, must do. A test program
// instantiates it with INSTANTIATE_TEST_SUITE_P(Name, AuditLogContract, Values(maker)).
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kms/audit/audit_log.h"
#include "tests/support/matchers.h"

namespace kms::testing {

// One log under test and the faults a test can cause in it.
struct AuditLogUnderTest {
  std::shared_ptr<AuditLog> log;
  std::function<void(bool fail)> fail_writes;       // writing fails until told otherwise
  std::function<std::vector<std::string>()> lines;  // what was committed, in order
};

struct AuditLogMaker {
  std::string name;
  std::function<AuditLogUnderTest()> make;
};

class AuditLogContract : public ::testing::TestWithParam<AuditLogMaker> {
 protected:
  void SetUp() override { ASSERT_NE(world_.log, nullptr); }

  static Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(20); }

  // Appends and waits; returns what became of the record.
  Status Record(const std::string& members) {
    const AuditTicket ticket = KMS_TRY(log().Append(members));
    return log().Await(ticket, Soon());
  }

  AuditLog& log() { return *world_.log; }

  AuditLogUnderTest world_ = GetParam().make();
};

TEST_P(AuditLogContract, CommitsWhatWasAppended) {
  EXPECT_THAT(Record(R"("type":"response","n":1)"), IsOk());
  EXPECT_THAT(world_.lines(), ::testing::Contains(::testing::HasSubstr(R"("n":1)")));
  EXPECT_TRUE(log().healthy());
}

TEST_P(AuditLogContract, NamesRecordsByGrowingTickets) {
  KMS_ASSERT_OK_AND_ASSIGN(const AuditTicket first, log().Append(R"("n":1)"));
  KMS_ASSERT_OK_AND_ASSIGN(const AuditTicket second, log().Append(R"("n":2)"));
  EXPECT_LT(first, second);
  ASSERT_THAT(log().Await(second, Soon()), IsOk());
  EXPECT_EQ(log().State(first), AuditState::kCommitted);
  EXPECT_EQ(log().State(second), AuditState::kCommitted);
}

TEST_P(AuditLogContract, KeepsTheOrderOfAppends) {
  for (int i = 0; i < 50; ++i) {
    ASSERT_THAT(log().Append("\"order\":" + std::to_string(i)), IsOk());
  }
  ASSERT_THAT(Record(R"("order":50)"), IsOk());
  std::vector<int> seen;
  for (const std::string& line : world_.lines()) {
    const std::size_t at = line.find("\"order\":");
    if (at != std::string::npos) {
      seen.push_back(std::stoi(line.substr(at + 8)));
    }
  }
  ASSERT_EQ(seen.size(), 51U);
  EXPECT_TRUE(std::ranges::is_sorted(seen));
}

TEST_P(AuditLogContract, TellsListenersWhenARecordIsSettled) {
  std::mutex mutex;
  std::condition_variable told;
  int calls = 0;
  log().Subscribe([&] {
    const std::lock_guard lock(mutex);
    ++calls;
    told.notify_all();
  });
  KMS_ASSERT_OK_AND_ASSIGN(const AuditTicket ticket, log().Append(R"("n":1)"));
  log().Wake();
  std::unique_lock lock(mutex);
  EXPECT_TRUE(told.wait_until(
      lock, Soon(), [&] { return calls > 0 && log().State(ticket) == AuditState::kCommitted; }));
}

TEST_P(AuditLogContract, L8_FailsRecordsThatCannotBeWrittenAndHeals) {
  ASSERT_THAT(Record(R"("n":"before")"), IsOk());
  world_.fail_writes(true);
  KMS_ASSERT_OK_AND_ASSIGN(const AuditTicket lost, log().Append(R"("n":"lost")"));
  EXPECT_THAT(log().Await(lost, Soon()), HasError(ErrorCode::kUnavailable));
  EXPECT_FALSE(log().healthy());
  world_.fail_writes(false);
  EXPECT_THAT(Record(R"("n":"after")"), IsOk());
  EXPECT_TRUE(log().healthy());
  EXPECT_EQ(log().State(lost), AuditState::kFailed);
  const auto lines = world_.lines();
  EXPECT_THAT(lines, ::testing::Contains(::testing::HasSubstr("before")));
  EXPECT_THAT(lines, ::testing::Contains(::testing::HasSubstr("after")));
  EXPECT_THAT(lines, ::testing::Not(::testing::Contains(::testing::HasSubstr("lost"))));
}

TEST_P(AuditLogContract, CommitsTheRecordsOfManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kRecords = 200;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&] {
        for (int i = 0; i < kRecords; ++i) {
          EXPECT_THAT(Record(R"("n":"many")"), IsOk());
        }
      });
    }
  }
  const auto lines = world_.lines();
  EXPECT_EQ(std::ranges::count_if(
                lines, [](const std::string& line) { return line.find("many") != line.npos; }),
            kThreads * kRecords);
}

}  // namespace kms::testing
