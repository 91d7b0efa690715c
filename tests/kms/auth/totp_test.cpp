// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/totp.h"

#include <gmock/gmock.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::testing::Eq;
using testing::IsOk;
using testing::IsOkAndHolds;
using ::testing::Optional;

constexpr std::string_view kSecret = "12345678901234567890";  // of both RFCs
constexpr std::int64_t kNever = -1;

std::string CodeAt(std::int64_t step) {
  std::string text =
      std::to_string(HotpValue(AsBytes(kSecret), static_cast<std::uint64_t>(step), 6).value());
  return std::string(6 - text.size(), '0') + text;
}

// RFC 4226, appendix D.
TEST(Hotp, AgreesWithTheValuesOfTheStandard) {
  constexpr std::array<std::uint32_t, 10> kValues = {755224, 287082, 359152, 969429, 338314,
                                                     254676, 287922, 162583, 399871, 520489};
  for (std::uint64_t counter = 0; counter < kValues.size(); ++counter) {
    EXPECT_THAT(HotpValue(AsBytes(kSecret), counter, 6), IsOkAndHolds(kValues[counter]));
  }
}

// RFC 6238, appendix B: SHA-1, eight digits.
TEST(Totp, AgreesWithTheValuesOfTheStandard) {
  struct Row {
    std::int64_t unix_seconds;
    std::uint32_t value;
  };
  constexpr std::array<Row, 6> kRows = {Row{59, 94287082},         Row{1111111109, 7081804},
                                        Row{1111111111, 14050471}, Row{1234567890, 89005924},
                                        Row{2000000000, 69279037}, Row{20000000000, 65353130}};
  for (const Row& row : kRows) {
    const auto step = static_cast<std::uint64_t>(row.unix_seconds / kTotpStepSeconds);
    EXPECT_THAT(HotpValue(AsBytes(kSecret), step, 8), IsOkAndHolds(row.value));
  }
}

TEST(Totp, AcceptsOneStepAroundNowAndNoMore) {
  constexpr std::int64_t kNow = 1'000;
  for (std::int64_t step = kNow - 3; step <= kNow + 3; ++step) {
    KMS_ASSERT_OK_AND_ASSIGN(const auto match,
                             MatchTotp(AsBytes(kSecret), CodeAt(step), kNow * 30 + 17, kNever));
    const bool near = step >= kNow - 1 && step <= kNow + 1;
    EXPECT_EQ(match, near ? std::optional(step) : std::nullopt) << step;
  }
}

// CVE-2025-6014: a code of the second factor used twice.
TEST(Totp, AcceptsAStepOnceAndNoneBeforeIt) {
  constexpr std::int64_t kNow = 1'000;
  const auto match = [](std::int64_t step, std::int64_t last) {
    return MatchTotp(AsBytes(kSecret), CodeAt(step), kNow * 30, last).value();
  };
  EXPECT_THAT(match(kNow, kNow - 1), Optional(kNow));
  EXPECT_THAT(match(kNow, kNow), Eq(std::nullopt));
  EXPECT_THAT(match(kNow - 1, kNow), Eq(std::nullopt));
  EXPECT_THAT(match(kNow + 1, kNow), Optional(kNow + 1));
}

// CVE-2025-6014, too: a space made the used code a new one.
TEST(Totp, AcceptsSixDigitsAndNothingAroundThem) {
  const std::string code = CodeAt(1'000);
  for (const std::string& wrong :
       {" " + code, code + " ", code.substr(0, 3) + " " + code.substr(3), code + "\n", "\t" + code,
        code + std::string(1, '\0'), "0" + code, code.substr(0, 5), std::string(), "+" + code,
        std::string("------"), std::string("１２３４５６")}) {
    EXPECT_THAT(MatchTotp(AsBytes(kSecret), wrong, 30'000, kNever), IsOkAndHolds(Eq(std::nullopt)))
        << wrong;
  }
}

// RFC 4648, section 10, without its padding.
TEST(Base32, AgreesWithTheValuesOfTheStandard) {
  const std::vector<std::pair<std::string, std::string>> rows = {{"", ""},
                                                                 {"f", "MY"},
                                                                 {"fo", "MZXQ"},
                                                                 {"foo", "MZXW6"},
                                                                 {"foob", "MZXW6YQ"},
                                                                 {"fooba", "MZXW6YTB"},
                                                                 {"foobar", "MZXW6YTBOI"}};
  for (const auto& [bytes, text] : rows) {
    std::string out;
    AppendBase32(AsBytes(bytes), out);
    EXPECT_EQ(out, text);
  }
}

TEST(Totp, UrlIsWhatAuthenticatorsScan) {
  std::string url;
  AppendTotpUrl("kms", "alice", AsBytes(kSecret), url);
  EXPECT_EQ(url,
            "otpauth://totp/kms:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
            "&issuer=kms&algorithm=SHA1&digits=6&period=30");
}

TEST(BackupCodes, AreTenDifferentOnesOfEightyBits) {
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes codes, MakeBackupCodes());
  std::set<std::string_view> different;
  for (std::size_t i = 0; i < kBackupCodes; ++i) {
    EXPECT_THAT(std::string(BackupCode(codes, i)), ::testing::MatchesRegex("[a-z2-7]{16}"));
    different.insert(BackupCode(codes, i));
  }
  EXPECT_EQ(different.size(), 10U);
}

TEST(BackupCodes, AreFoundByWhatIsStoredOfThem) {
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes codes, MakeBackupCodes());
  const Bytes key(32, 7);
  std::vector<Sha256Digest> digests;
  for (std::size_t i = 0; i < kBackupCodes; ++i) {
    digests.push_back(BackupCodeDigest(key, BackupCode(codes, i)).value());
  }
  for (std::size_t i = 0; i < kBackupCodes; ++i) {
    EXPECT_THAT(MatchBackupCode(key, BackupCode(codes, i), digests), IsOkAndHolds(Optional(i)));
  }
  const std::string code(BackupCode(codes, 0));
  for (const std::string& wrong : {std::string(), code + " ", " " + code, code.substr(1)}) {
    EXPECT_THAT(MatchBackupCode(key, wrong, digests), IsOkAndHolds(Eq(std::nullopt)));
  }
  EXPECT_THAT(MatchBackupCode(Bytes(32, 8), code, digests), IsOkAndHolds(Eq(std::nullopt)));
}

}  // namespace
}  // namespace kms
