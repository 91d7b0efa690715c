// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/nonce.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>
#include <vector>

#include "kms/crypto/fork_generation.h"

namespace kms {
namespace {

using Nonce = std::array<std::uint8_t, 12>;

// What a cloned machine sees: the same bytes again.
void RepeatingRandom(MutableByteView out) { std::ranges::fill(out, std::uint8_t{0x5a}); }

Nonce Fill(NonceHedge& hedge, std::string_view message, std::string_view associated_data = {}) {
  Nonce nonce{};
  hedge.Fill(nonce, AsBytes(message), AsBytes(associated_data));
  return nonce;
}

std::size_t CountRepeats(std::vector<Nonce> nonces) {
  std::ranges::sort(nonces);
  const auto repeated = std::ranges::unique(nonces);
  return repeated.size();
}

TEST(HedgedNonce, C1_ClonesNeverShareANonceForDifferentMessages) {
  NonceHedge first(&RepeatingRandom);
  NonceHedge second(&RepeatingRandom);
  std::vector<Nonce> nonces;
  constexpr int kMessages = 500'000;
  for (int index = 0; index < kMessages; ++index) {
    nonces.push_back(Fill(first, "a" + std::to_string(index)));
    nonces.push_back(Fill(second, "b" + std::to_string(index)));
  }
  EXPECT_EQ(nonces.size(), 1'000'000U);
  EXPECT_EQ(CountRepeats(std::move(nonces)), 0U);
}

TEST(HedgedNonce, C1_ClonesRepeatANonceForTheIdenticalMessageOnly) {
  NonceHedge first(&RepeatingRandom);
  NonceHedge second(&RepeatingRandom);
  EXPECT_EQ(Fill(first, "message", "aad"), Fill(second, "message", "aad"));
  EXPECT_NE(Fill(first, "message", "aad"), Fill(second, "message", "aae"));
  EXPECT_NE(Fill(first, "message", "aad"), Fill(second, "messagf", "aad"));
  EXPECT_NE(Fill(first, "message"), Fill(second, "", "message"));
  EXPECT_NE(Fill(first, "bc", "a"), Fill(second, "c", "ab"));  // the border counts
}

TEST(HedgedNonce, C1_StuckRandomnessGivesFreshNonces) {
  NonceHedge hedge(&RepeatingRandom);
  std::vector<Nonce> nonces;
  for (int index = 0; index < 10'000; ++index) {
    nonces.push_back(Fill(hedge, "the same message"));
  }
  EXPECT_EQ(CountRepeats(std::move(nonces)), 0U);
}

void OtherRandom(MutableByteView out) {
  static std::uint8_t calls = 0;
  std::ranges::fill(out, calls++ == 0 ? std::uint8_t{1} : std::uint8_t{0x5a});
}

TEST(HedgedNonce, DependsOnTheSecret) {
  NonceHedge first(&RepeatingRandom);
  NonceHedge second(&OtherRandom);  // another secret, then the same randomness
  EXPECT_NE(Fill(first, "message"), Fill(second, "message"));
}

TEST(HedgedNonce, FillsEverySize) {
  NonceHedge first(&RepeatingRandom);
  Bytes longest(32);
  first.Fill(longest, {}, {});
  for (std::size_t size = 1; size <= 32; ++size) {
    NonceHedge second(&RepeatingRandom);
    Bytes nonce(size);
    second.Fill(nonce, {}, {});
    EXPECT_TRUE(std::ranges::equal(nonce, ByteView(longest).first(size)));
  }
}

int random_calls = 0;
void CountingRandom(MutableByteView out) {
  ++random_calls;
  std::ranges::fill(out, std::uint8_t{0});
}

// Runs `body` in a forked child and returns its exit status.
template <typename Body>
int InChild(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(body());
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(HedgedNonce, C2_AForkedChildTakesItsOwnSecret) {
  NonceHedge hedge(&CountingRandom);
  const auto calls_of_next_nonce = [&hedge] {
    random_calls = 0;
    Fill(hedge, "message");
    return random_calls;
  };
  EXPECT_EQ(calls_of_next_nonce(), 1);
  EXPECT_EQ(InChild(calls_of_next_nonce), 2);  // a secret first
  EXPECT_EQ(InChild([&] { return calls_of_next_nonce() * 10 + calls_of_next_nonce(); }), 21);
  EXPECT_EQ(calls_of_next_nonce(), 1);
}

TEST(HedgedNonce, C2_ParentAndChildNeverShareANonce) {
  constexpr std::size_t kCount = 5000;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const auto make = [] {
    std::vector<Nonce> nonces(kCount);
    for (Nonce& nonce : nonces) {
      FillHedgedNonce(nonce, AsBytes("the same message"), {});
    }
    return nonces;
  };
  std::vector<Nonce> nonces = make();
  const int exit_status = InChild([&] {
    const std::vector<Nonce> own = make();
    const std::size_t size = own.size() * sizeof(Nonce);
    return ::write(ends[1], own.data(), size) == static_cast<ssize_t>(size) ? 0 : 1;
  });
  ASSERT_EQ(exit_status, 0);
  std::vector<Nonce> theirs(kCount);
  const auto size = static_cast<ssize_t>(theirs.size() * sizeof(Nonce));
  ASSERT_EQ(::read(ends[0], theirs.data(), static_cast<std::size_t>(size)), size);
  std::ranges::copy(theirs, std::back_inserter(nonces));
  std::ranges::copy(make(), std::back_inserter(nonces));
  EXPECT_EQ(CountRepeats(std::move(nonces)), 0U);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(HedgedNonce, NeverRepeatsAcrossThreads) {
  std::vector<std::vector<Nonce>> parts(4);
  std::vector<std::thread> threads;
  for (std::vector<Nonce>& part : parts) {
    threads.emplace_back([&part] {
      part.resize(20'000);
      for (Nonce& nonce : part) {
        FillHedgedNonce(nonce, AsBytes("m"), {});
      }
    });
  }
  std::vector<Nonce> all;
  for (std::size_t index = 0; index < threads.size(); ++index) {
    threads[index].join();
    std::ranges::copy(parts[index], std::back_inserter(all));
  }
  EXPECT_EQ(CountRepeats(std::move(all)), 0U);
}

TEST(ForkGeneration, ChangesWithEachForkAndOnlyThen) {
  const std::uint64_t own = ForkGeneration();
  EXPECT_NE(own, 0U);
  EXPECT_EQ(ForkGeneration(), own);
  EXPECT_EQ(InChild([own] {
              const std::uint64_t child = ForkGeneration();
              const auto differs = [own, child] {
                const std::uint64_t grandchild = ForkGeneration();
                return grandchild != own && grandchild != child && grandchild != 0 ? 0 : 1;
              };
              return child != own && child == ForkGeneration() && InChild(differs) == 0 ? 0 : 1;
            }),
            0);
  EXPECT_EQ(ForkGeneration(), own);
}

}  // namespace
}  // namespace kms
