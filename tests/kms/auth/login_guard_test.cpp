// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/login_guard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace kms {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const SteadyTime kStart{seconds(1'000'000)};
constexpr std::string_view kAddress = "192.0.2.1";
constexpr std::string_view kOther = "198.51.100.1";
constexpr std::string_view kAlice = "userpass/alice";
constexpr std::string_view kBob = "userpass/bob";

void Fail(LoginGuard& guard, int times, std::string_view address, std::string_view name,
          SteadyTime now = kStart) {
  for (int i = 0; i < times; ++i) {
    guard.Failed(address, name, now);
  }
}

TEST(LoginGuard, LetsPeopleMistypeAFewTimes) {
  LoginGuard guard;
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(guard.RefusalByAddress(kAddress, kStart));
    EXPECT_FALSE(guard.RefusalByName(kAddress, kAlice, kStart));
    guard.Failed(kAddress, kAlice, kStart);
  }
  EXPECT_TRUE(guard.List(kStart).empty());
  EXPECT_FALSE(guard.RefusalByName(kAddress, kAlice, kStart));
}

TEST(LoginGuard, U22_TheWaitGrowsAndIsCapped) {
  LoginGuard guard;
  Fail(guard, 5, kAddress, kAlice);
  SteadyTime now = kStart;
  std::vector<seconds> waits;
  for (int i = 0; i < 12; ++i) {
    guard.Failed(kAddress, kAlice, now);
    const auto wait = guard.RefusalByName(kAddress, kAlice, now);
    ASSERT_TRUE(wait.has_value()) << i;
    waits.push_back(std::chrono::duration_cast<seconds>(*wait));
    now += *wait;
  }
  const std::vector<seconds> expected = {seconds(1),   seconds(2),   seconds(4),   seconds(8),
                                         seconds(16),  seconds(32),  seconds(64),  seconds(128),
                                         seconds(256), seconds(512), seconds(900), seconds(900)};
  EXPECT_EQ(waits, expected);
}

TEST(LoginGuard, U22_AnAddressThatTriesManyNamesIsBlockedWhateverTheName) {
  LoginGuard guard;
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(guard.RefusalByAddress(kAddress, kStart)) << i;
    guard.Failed(kAddress, "userpass/user-" + std::to_string(i), kStart);
  }
  guard.Failed(kAddress, "", kStart);
  EXPECT_EQ(guard.RefusalByAddress(kAddress, kStart), seconds(1));
  EXPECT_FALSE(guard.RefusalByAddress(kOther, kStart));
  EXPECT_EQ(guard.refused(), 1U);
}

TEST(LoginGuard, U22_ABlockIsNotALockOutOfTheNameFromElsewhere) {
  LoginGuard guard;
  Fail(guard, 15, kAddress, kAlice);
  EXPECT_TRUE(guard.RefusalByName(kAddress, kAlice, kStart));
  EXPECT_FALSE(guard.RefusalByName(kOther, kAlice, kStart));
  EXPECT_FALSE(guard.RefusalByName(kAddress, kBob, kStart));
}

TEST(LoginGuard, U22_ANameGuessedFromEverywhereIsSlowedButWhoIsKnownGetsIn) {
  LoginGuard guard;
  guard.Succeeded(kOther, kAlice, kStart);
  for (int i = 0; i < 100; ++i) {
    Fail(guard, 5, "10.0.0." + std::to_string(i), kAlice);
  }
  const auto wait = guard.RefusalByName("10.9.9.9", kAlice, kStart);
  ASSERT_TRUE(wait.has_value());
  EXPECT_LE(*wait, seconds(30));  // never for long
  EXPECT_FALSE(guard.RefusalByName(kOther, kAlice, kStart));
  EXPECT_FALSE(guard.RefusalByName("10.9.9.9", kBob, kStart));
  // A day later it is a stranger like any other.
  for (int i = 0; i < 100; ++i) {
    guard.Failed("10.0.0." + std::to_string(i), kAlice, kStart + hours(24));
  }
  EXPECT_TRUE(guard.RefusalByName(kOther, kAlice, kStart + hours(24)));
}

TEST(LoginGuard, U22_ASuccessForgetsItsOwnFailuresAndNoOthers) {
  LoginGuard guard;
  Fail(guard, 19, kAddress, kAlice);
  guard.Succeeded(kAddress, kBob, kStart);  // the guesser's own account
  EXPECT_TRUE(guard.RefusalByName(kAddress, kAlice, kStart));
  Fail(guard, 2, kAddress, kAlice);
  EXPECT_TRUE(guard.RefusalByAddress(kAddress, kStart));

  guard.Succeeded(kAddress, kAlice, kStart);
  EXPECT_FALSE(guard.RefusalByName(kAddress, kAlice, kStart));
  EXPECT_TRUE(guard.RefusalByAddress(kAddress, kStart));
}

TEST(LoginGuard, U22_LoopbackAndProxiesAreNeverBlockedAsAWhole) {
  const std::vector<CidrBlock> proxies = {*CidrBlock::Parse("10.0.0.0/8")};
  LoginGuard guard(proxies);
  for (const std::string_view address : {"127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3"}) {
    Fail(guard, 1'000, address, kAlice);
    EXPECT_FALSE(guard.RefusalByAddress(address, kStart)) << address;
    EXPECT_FALSE(guard.RefusalByName(address, kBob, kStart)) << address;
    const auto wait = guard.RefusalByName(address, kAlice, kStart);
    ASSERT_TRUE(wait.has_value()) << address;
    EXPECT_LE(*wait, seconds(30)) << address;
  }
}

TEST(LoginGuard, GuessesInParallelAreNoWayAroundTheWait) {
  LoginGuard guard;
  Fail(guard, 6, kAddress, kAlice);
  const SteadyTime now = kStart + seconds(1);
  EXPECT_FALSE(guard.RefusalByName(kAddress, kAlice, now));
  EXPECT_EQ(guard.RefusalByName(kAddress, kAlice, now), seconds(2));
  guard.Failed(kAddress, kAlice, now);
  EXPECT_EQ(guard.RefusalByName(kAddress, kAlice, now), seconds(2));
}

TEST(LoginGuard, AnHourWithoutFailureForgetsAll) {
  LoginGuard guard;
  Fail(guard, 15, kAddress, kAlice);
  EXPECT_TRUE(guard.RefusalByName(kAddress, kAlice, kStart + seconds(400)));
  const SteadyTime later = kStart + hours(1);
  EXPECT_FALSE(guard.RefusalByName(kAddress, kAlice, later));
  EXPECT_FALSE(guard.RefusalByName(kAddress, kAlice, later));
  guard.Failed(kAddress, kAlice, later);
  EXPECT_FALSE(guard.RefusalByName(kAddress, kAlice, later));
}

TEST(LoginGuard, AnIpv6NetworkIsOneAddress) {
  LoginGuard guard;
  for (int i = 0; i < 30; ++i) {
    guard.Failed("2001:db8:0:1::" + std::to_string(i), "", kStart);
  }
  EXPECT_TRUE(guard.RefusalByAddress("2001:db8:0:1:ffff::1", kStart));
  EXPECT_FALSE(guard.RefusalByAddress("2001:db8:0:2::1", kStart));
}

TEST(LoginGuard, ListsWhatIsBlockedLongestFirst) {
  LoginGuard guard;
  Fail(guard, 8, kAddress, kAlice);
  Fail(guard, 22, kOther, "");
  const std::vector<LoginBlock> blocks = guard.List(kStart);
  ASSERT_EQ(blocks.size(), 2U);
  EXPECT_EQ(blocks[0].kind, LoginBlockKind::kNameAtAddress);
  EXPECT_EQ(blocks[0].address, kAddress);
  EXPECT_EQ(blocks[0].name, kAlice);
  EXPECT_EQ(blocks[0].failures, 8);
  EXPECT_EQ(blocks[0].remaining, seconds(4));
  EXPECT_EQ(blocks[1].kind, LoginBlockKind::kAddress);
  EXPECT_EQ(blocks[1].address, kOther);
  EXPECT_EQ(blocks[1].name, "");
  EXPECT_EQ(blocks[1].remaining, seconds(2));
  EXPECT_EQ(guard.List(kStart + seconds(2)).size(), 1U);
}

TEST(LoginGuard, ClearsAnAddressANameBothOrAll) {
  LoginGuard guard;
  const auto fill = [&] {
    Fail(guard, 12, kAddress, kAlice);
    Fail(guard, 12, kOther, kAlice);
    Fail(guard, 12, kAddress, kBob);
  };
  fill();
  EXPECT_EQ(guard.Clear(kAddress, ""), 3U);  // the address, and both names there
  EXPECT_FALSE(guard.RefusalByAddress(kAddress, kStart));
  EXPECT_FALSE(guard.RefusalByName(kAddress, kBob, kStart));
  EXPECT_TRUE(guard.RefusalByName(kOther, kAlice, kStart));
  fill();
  EXPECT_EQ(guard.Clear("", kAlice), 3U);  // the name, and at both addresses
  EXPECT_FALSE(guard.RefusalByName(kOther, kAlice, kStart));
  EXPECT_TRUE(guard.RefusalByName(kAddress, kBob, kStart));
  fill();
  EXPECT_EQ(guard.Clear(kAddress, kBob), 1U);
  EXPECT_FALSE(guard.RefusalByName(kAddress, kBob, kStart));
  EXPECT_TRUE(guard.RefusalByName(kAddress, kAlice, kStart));
  EXPECT_EQ(guard.Clear("no address", ""), 0U);
  EXPECT_GT(guard.Clear("", ""), 0U);
  EXPECT_TRUE(guard.List(kStart).empty());
}

TEST(LoginGuard, LongNamesAreKeptShortAndStillApart) {
  LoginGuard guard;
  std::string first(5'000, 'x');
  std::string second = first;
  first.back() = '1';
  second.back() = '2';
  Fail(guard, 10, kAddress, first);
  EXPECT_TRUE(guard.RefusalByName(kAddress, first, kStart));
  EXPECT_FALSE(guard.RefusalByName(kAddress, second, kStart));
  const std::vector<LoginBlock> blocks = guard.List(kStart);
  ASSERT_EQ(blocks.size(), 1U);
  EXPECT_EQ(blocks[0].name.size(), 128U);
}

TEST(LoginGuard, A19_AMillionStrangersTakeNoMemoryAndDoNotFreeWhoIsBlocked) {
  LoginGuard guard({}, 1024);
  Fail(guard, 40, kAddress, kAlice);
  for (int i = 0; i < 300'000; ++i) {
    const std::string address = "10." + std::to_string(i >> 16) + "." +
                                std::to_string(i >> 8 & 255) + "." + std::to_string(i & 255);
    guard.Failed(address, "userpass/" + std::to_string(i), kStart);
  }
  EXPECT_TRUE(guard.RefusalByAddress(kAddress, kStart));
  EXPECT_TRUE(guard.RefusalByName(kAddress, kAlice, kStart));
  EXPECT_LE(guard.Clear("", ""), 1024U);
}

TEST(LoginGuard, IsUsedFromManyThreads) {
  LoginGuard guard;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        const std::string name = "userpass/" + std::to_string(i % 7);
        const bool refused = guard.RefusalByAddress(kAddress, kStart).has_value() ||
                             guard.RefusalByName(kAddress, name, kStart).has_value();
        guard.Failed(kAddress, name, kStart);
        if (i % 50 == 0 && refused) {
          guard.Succeeded(kAddress, name, kStart);
          EXPECT_LE(guard.List(kStart).size(), 20U);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const std::vector<LoginBlock> blocks = guard.List(kStart);
  ASSERT_FALSE(blocks.empty());
  EXPECT_EQ(std::ranges::max(blocks, {}, &LoginBlock::failures).failures, 2'000);
}

}  // namespace
}  // namespace kms
