// SPDX-License-Identifier: Apache-2.0
// hmac and its verification: vectors, version rules, every text (transit-api 5.7, 6.15, 6.17, 16).
#include "kms/operations/hmac.h"

#include "kms/operations/verify_hmac.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

constexpr std::string_view kHello = "hello transit";
constexpr std::string_view kHelloHmac = "vault:v1:zBjSL54sEQ5Nf6crZLIjOZ7JqXTw8JIITO3Thd9hq4E=";

Key Make(KeyVersionNumber latest, KeyVersionNumber min_decryption = 1,
         KeyVersionNumber min_encryption = 0, KeyType type = KeyType::kAes256Gcm96) {
  KeyPolicy policy = PolicyOf(type, latest);
  policy.min_decryption_version = min_decryption;
  policy.min_encryption_version = min_encryption;
  return MakeKey(std::move(policy)).value();
}

Result<std::string> HmacOf(const Key& key, std::int64_t version, std::string_view input = kHello) {
  const KeyVersion* chosen = KMS_TRY(ChooseHmacVersion(key, version));
  std::string hmac;
  KMS_TRY(Hmac(*chosen, HashAlgorithm::kSha2_256, AsBytes(input), hmac));
  return hmac;
}

Result<bool> Verify(const Key& key, std::string_view hmac, std::string_view input = kHello,
                    HashAlgorithm algorithm = HashAlgorithm::kSha2_256) {
  const HmacVerdict verdict = KMS_TRY(
      VerifyHmac(key, {.algorithm = algorithm, .input = AsBytes(input), .hmac = hmac}));
  return verdict.valid;
}

TEST(Hmac, MatchesTheVectorOnKeysOfEveryType) {
  for (const KeyTypeTraits& type : testing::AeadKeyTypes()) {
    const Key key = Make(1, 1, 0, type.type);
    EXPECT_THAT(HmacOf(key, 0), IsOkAndHolds(std::string(kHelloHmac))) << type.name;
    EXPECT_THAT(Verify(key, kHelloHmac), IsOkAndHolds(true)) << type.name;
  }
}

TEST(Hmac, EveryVersionHasAKeyOfItsOwn) {
  const Key key = Make(3);
  EXPECT_EQ(*HmacOf(key, 0), *HmacOf(key, 3));
  EXPECT_NE(HmacOf(key, 3)->substr(9), HmacOf(key, 2)->substr(9));
  EXPECT_THAT(HmacOf(key, 1), IsOkAndHolds(std::string(kHelloHmac)));
  for (const std::int64_t version : {1, 2, 3}) {
    EXPECT_THAT(Verify(key, *HmacOf(key, version)), IsOkAndHolds(true)) << version;
  }
}

TEST(ChooseHmacVersion, RefusesWithTheTextsOfTheContract) {
  struct Row {
    std::int64_t version;
    KeyVersionNumber min_encryption;
    const char* text;
  };
  const Row rows[] = {
      {3, 4, "cannot generate HMAC: version is too old (disallowed by policy)"},
      {-1, 4, "cannot generate HMAC: version is too old (disallowed by policy)"},
      {-1, 0, "key version does not exist (cannot be negative)"},
      {6, 0, "key version does not exist; latest key version is 5"},
      {4'294'967'300, 0, "key version does not exist; latest key version is 5"},
      {1, 0, "no such key version"},
  };
  for (const Row& row : rows) {
    const Key key = Make(5, 3, row.min_encryption);
    EXPECT_THAT(ChooseHmacVersion(key, row.version),
                HasError(ErrorCode::kInvalidArgument, row.text))
        << row.version;
  }
}

TEST(ChooseHmacVersion, AllowsOlderVersionsOfTheWorkingSet) {
  EXPECT_THAT(HmacOf(Make(5, 3, 0), 3), IsOk());
  EXPECT_THAT(HmacOf(Make(5, 3, 4), 4), IsOk());
}

TEST(VerifyHmac, RefusesMalformedTextsAsTheContractSays) {
  struct Row {
    const char* hmac;
    const char* text;
  };
  const Row rows[] = {
      {"", "invalid HMAC to verify: no prefix"},
      {"AAAA", "invalid HMAC to verify: no prefix"},
      {"VAULT:v1:AAAA", "invalid HMAC to verify: no prefix"},
      {"vault:v", "invalid HMAC: wrong number of fields"},
      {"vault:v1", "invalid HMAC: wrong number of fields"},
      {"vault:v:AAAA", "invalid HMAC: version number could not be decoded"},
      {"vault:vx:AAAA", "invalid HMAC: version number could not be decoded"},
      {"vault:v-1:AAAA", "invalid HMAC: version number could not be decoded"},
      {"vault:v+1:AAAA", "invalid HMAC: version number could not be decoded"},
      {"vault:v01:AAAA", "invalid HMAC: version number could not be decoded"},
      {"vault:v99999999999:AAAA", "invalid HMAC: version number could not be decoded"},
      {"vault:v6:AAAA", "invalid HMAC: version is too new"},
      {"vault:v2:AAAA", "cannot verify HMAC: version is too old (disallowed by policy)"},
      {"vault:v0:AAAA", "cannot verify HMAC: version is too old (disallowed by policy)"},
      {"vault:v3:AAA",
       "unable to decode verification HMAC as base64: illegal base64 data at input byte 3"},
      {"vault:v3:AB==",
       "unable to decode verification HMAC as base64: bits after the last byte are not zero"},
  };
  const Key key = Make(5, 3);
  for (const Row& row : rows) {
    EXPECT_THAT(Verify(key, row.hmac), HasError(ErrorCode::kInvalidArgument, row.text))
        << row.hmac;
  }
}

TEST(VerifyHmac, IsFalseForEveryOtherMessageHashLengthAndVersion) {
  const Key key = Make(2);
  EXPECT_THAT(Verify(key, kHelloHmac, "hello transit "), IsOkAndHolds(false));
  EXPECT_THAT(Verify(key, kHelloHmac, kHello, HashAlgorithm::kSha3_256), IsOkAndHolds(false));
  EXPECT_THAT(Verify(key, "vault:v1:"), IsOkAndHolds(false));
  EXPECT_THAT(Verify(key, "vault:v1:zBjSL54sEQ5Nf6crZLIjOZ7JqXTw8JIITO3T"), IsOkAndHolds(false));
  EXPECT_THAT(Verify(key, "vault:v2:" + std::string(kHelloHmac.substr(9))), IsOkAndHolds(false));
}

TEST(VerifyHmac, C9_NoChangedCharacterIsAccepted) {
  const Key key = Make(1);
  for (std::size_t i = 0; i < kHelloHmac.size(); ++i) {
    for (const char c : std::string_view("AZaz09+/=:v_ ")) {
      std::string changed(kHelloHmac);
      changed[i] = c;
      if (changed == kHelloHmac) {
        continue;
      }
      const Result<bool> valid = Verify(key, changed);
      EXPECT_FALSE(valid.has_value() && *valid) << changed;
    }
  }
}

}  // namespace
}  // namespace kms::testing
