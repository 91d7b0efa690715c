// SPDX-License-Identifier: Apache-2.0
// Random bytes: sizes, sources and a broken HSM generator (transit-api 6.13).
#include "kms/operations/random.h"

#include <algorithm>

#include "tests/fakes/fake_master_key_device.h"
#include "tests/fakes/manual_clock.h"
#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

class RandomTest : public ::testing::Test {
 protected:
  Result<Bytes> Generate(std::int64_t bytes, RandomSource source) {
    PlaintextBuffer random;
    KMS_TRY(GenerateRandom(hsm_, {.bytes = bytes, .source = source}, random));
    return CopyOf(random.View());
  }

  ManualClock clock_;
  FakeMasterKeyDevice device_{std::make_shared<FakeToken>(), &clock_};
  HsmRandomness hsm_{device_, clock_, std::chrono::milliseconds(1000)};
};

TEST_F(RandomTest, GivesAsManyBytesAsAskedForFromEverySource) {
  for (const auto source : {RandomSource::kPlatform, RandomSource::kSeal, RandomSource::kAll}) {
    for (const std::int64_t bytes : {1, 32, 63, 64, 4095, 4096, 4097, 131'072}) {
      KMS_ASSERT_OK_AND_ASSIGN(const Bytes random, Generate(bytes, source));
      EXPECT_EQ(random.size(), static_cast<std::size_t>(bytes));
    }
    EXPECT_NE(*Generate(32, source), *Generate(32, source));
  }
}

TEST_F(RandomTest, RefusesSizesOutsideTheLimits) {
  for (const auto source : {RandomSource::kPlatform, RandomSource::kSeal}) {
    EXPECT_THAT(Generate(0, source),
                HasError(ErrorCode::kInvalidArgument, "'bytes' cannot be less than 1"));
    EXPECT_THAT(Generate(-5, source),
                HasError(ErrorCode::kInvalidArgument, "'bytes' cannot be less than 1"));
    EXPECT_THAT(Generate(131'073, source),
                HasError(ErrorCode::kInvalidArgument, "'bytes' should be less than 131072"));
  }
}

TEST_F(RandomTest, H18_HsmOutputIsNeverHandedOutAlone) {
  Bytes given;
  std::uint8_t next = 1;
  device_.SetGenerator([&](MutableByteView out) {  // no block repeats, so the test passes
    std::ranges::generate(out, [&] { return static_cast<std::uint8_t>(next++ * 167 + 13); });
    given = CopyOf(out);
  });
  for (const auto source : {RandomSource::kSeal, RandomSource::kAll}) {
    KMS_ASSERT_OK_AND_ASSIGN(const Bytes random, Generate(64, source));
    EXPECT_NE(random, given);
    EXPECT_NE(random, Bytes(64, 0));
  }
}

TEST_F(RandomTest, H18_ABrokenGeneratorIsReportedAndThePlatformStillWorks) {
  struct Row {
    const char* name;
    std::function<void(MutableByteView)> generator;
  };
  int calls = 0;
  const Row rows[] = {
      {"zero", [](MutableByteView out) { std::ranges::fill(out, std::uint8_t{0}); }},
      {"constant", [](MutableByteView out) { std::ranges::fill(out, std::uint8_t{0x42}); }},
      {"a pattern", [](MutableByteView out) {
         for (std::size_t i = 0; i < out.size(); ++i) {
           out[i] = static_cast<std::uint8_t>(i % 32);
         }
       }},
      {"stuck after a while", [&calls](MutableByteView out) {
         FillRandom(out);
         if (++calls > 3) {
           std::ranges::fill(out.last(32), std::uint8_t{7});
         }
       }},
  };
  for (const Row& row : rows) {
    device_.SetGenerator(row.generator);
    IgnoreError(Generate(16'384, RandomSource::kSeal), "some rows need a few calls");
    for (const auto source : {RandomSource::kSeal, RandomSource::kAll}) {
      EXPECT_THAT(Generate(1, source),
                  HasError(ErrorCode::kFailedPrecondition,
                           "the HSM's random generator failed its repetition test"))
          << row.name;
    }
    EXPECT_THAT(Generate(32, RandomSource::kPlatform), IsOk()) << row.name;
  }
  device_.SetGenerator({});
  EXPECT_THAT(Generate(32, RandomSource::kSeal), IsOk()) << "repaired";
}

TEST_F(RandomTest, H18_AGeneratorThatStartsOverIsNoticedAcrossCalls) {
  Bytes seed(64);
  FillRandom(seed);
  device_.SetGenerator([&](MutableByteView out) {
    std::ranges::copy(ByteView(seed).first(out.size()), out.begin());
  });
  EXPECT_THAT(Generate(32, RandomSource::kSeal), IsOk());
  EXPECT_THAT(Generate(32, RandomSource::kSeal), HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(RandomTest, WithoutHsmOnlyThePlatformAnswers) {
  device_.SetPresent(false);
  EXPECT_THAT(Generate(32, RandomSource::kSeal), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(Generate(32, RandomSource::kAll), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(Generate(32, RandomSource::kPlatform), IsOk());
}

TEST_F(RandomTest, AFailureInTheMiddleGivesNothing) {
  device_.FailCall(3, Unavailable("HSM is unavailable"));
  PlaintextBuffer random;
  EXPECT_THAT(GenerateRandom(hsm_, {.bytes = 131'072, .source = RandomSource::kSeal}, random),
              HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(random.size(), 0U);
}

TEST(FindRandomSource, KnowsThreeNames) {
  EXPECT_EQ(FindRandomSource("platform"), RandomSource::kPlatform);
  EXPECT_EQ(FindRandomSource("seal"), RandomSource::kSeal);
  EXPECT_EQ(FindRandomSource("all"), RandomSource::kAll);
  for (const char* name : {"", "64", "Seal", "hsm"}) {
    EXPECT_EQ(FindRandomSource(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace kms::testing
