// SPDX-License-Identifier: Apache-2.0
// What holds for every key type, version, hash, marshaling and salt: a signature verifies under
// exactly what made it.
#include <algorithm>
#include <map>

#include "kms/base/base64.h"
#include "kms/base/base64url.h"
#include "kms/operations/sign.h"
#include "kms/operations/verify_signature.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/key_factory.h"
#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

constexpr std::string_view kInput = "order 17: 3 apples";
constexpr std::string_view kContext = "tenant-42";

std::vector<KeyTypeTraits> SigningTypes() {
  std::vector<KeyTypeTraits> types;
  std::ranges::copy_if(AllKeyTypes(), std::back_inserter(types),
                       [](const KeyTypeTraits& traits) { return traits.supports_signing; });
  return types;
}

// A key with two versions of different material, made once per type.
const Key& KeyOf(KeyType type, bool derived = false) {
  static std::map<std::pair<KeyType, bool>, Key> keys;
  const auto found = keys.find({type, derived});
  if (found != keys.end()) {
    return found->second;
  }
  KeyPolicy policy = PolicyOf(type, 2);
  policy.derived = derived;
  std::vector<KeyVersion> versions;
  for (const KeyVersionNumber number : {1U, 2U}) {
    const AsymmetricKey pair = TestKey(TraitsOf(type).asymmetric, number - 1);
    versions.push_back(KeyVersion::FromAsymmetricKey(number, WallTime{}, pair).value());
  }
  Key key = Key::Create(std::move(policy), std::move(versions)).value();
  return keys.emplace(std::pair(type, derived), std::move(key)).first->second;
}

struct Way {
  std::string hash = "sha2-256";
  std::string marshaling = "asn1";
  std::string scheme;
  std::string salt_length = "auto";
  bool prehashed = false;

  [[nodiscard]] SignatureRequest Request() const {
    return ParseSignatureNames({.hash = hash,
                                .marshaling = marshaling,
                                .scheme = scheme,
                                .salt_length = salt_length,
                                .prehashed = prehashed})
        .value();
  }
  [[nodiscard]] std::string Name() const {
    return hash + " " + marshaling + " " + scheme + " " + salt_length;
  }
};

std::string SignOf(const Key& key, const Way& way, std::int64_t version = 0,
                   std::string_view input = kInput) {
  const Result<SignOutcome> outcome = Sign(key, {.request = way.Request(),
                                                 .key_version = version,
                                                 .context = AsBytes(kContext),
                                                 .input = AsBytes(input)});
  EXPECT_THAT(outcome, IsOk()) << TraitsOf(key.policy().type).name << " " << way.Name();
  return outcome.has_value() ? outcome->signature : "";
}

Result<bool> Verify(const Key& key, const Way& way, std::string_view signature,
                    std::string_view input = kInput, std::string_view context = kContext) {
  const SignatureVerdict verdict = KMS_TRY(VerifySignature(key, {.request = way.Request(),
                                                                 .context = AsBytes(context),
                                                                 .input = AsBytes(input),
                                                                 .signature = signature}));
  return verdict.valid;
}

// Neither valid nor a defect of ours: false, or an error that the caller is told.
void ExpectRefused(const Result<bool>& verdict, const std::string& what) {
  if (verdict.has_value()) {
    EXPECT_FALSE(*verdict) << what;
  } else {
    EXPECT_EQ(verdict.error().code, ErrorCode::kInvalidArgument)
        << what << Describe(verdict.error());
  }
}

Bytes PayloadOf(const Way& way, std::string_view signature) {
  const std::string_view payload = signature.substr(9);
  return (way.marshaling == "jws" ? Base64UrlDecode(payload) : Base64Decode(payload)).value();
}

std::string WithPayload(const Way& way, ByteView payload) {
  std::string text = "vault:v2:";
  if (way.marshaling == "jws") {
    AppendBase64Url(payload, text);
  } else {
    AppendBase64(payload, text);
  }
  return text;
}

std::vector<Way> WaysOf(KeyFamily family) {
  std::vector<Way> ways;
  for (const HashTraits& hash : AllHashes()) {
    for (const char* marshaling : {"asn1", "jws"}) {
      Way way{.hash = std::string(hash.name), .marshaling = marshaling};
      ways.push_back(way);
      if (family != KeyFamily::kRsa) {
        continue;
      }
      for (const char* salt : {"hash", "-1", "0", "1", "20"}) {
        way.salt_length = salt;
        ways.push_back(way);
      }
      way.scheme = "pkcs1v15";
      ways.push_back(way);
    }
  }
  return ways;
}

class Signatures : public ::testing::TestWithParam<KeyTypeTraits> {};

TEST_P(Signatures, VerifyInEveryWayAndVersionAndForNoOtherInput) {
  const Key& key = KeyOf(GetParam().type);
  for (const Way& way : WaysOf(GetParam().family)) {
    const std::int64_t version = way.marshaling == "jws" ? 1 : 2;
    const std::string signature = SignOf(key, way, version);
    EXPECT_THAT(Verify(key, way, signature), IsOkAndHolds(true)) << way.Name();
    EXPECT_THAT(Verify(key, way, signature, "order 17: 4 apples"), IsOkAndHolds(false))
        << way.Name();
  }
}

TEST_P(Signatures, APrehashedInputIsTheHashOfThePlainOne) {
  const Key& key = KeyOf(GetParam().type);
  for (const HashTraits& hash : AllHashes()) {
    const Way plain{.hash = std::string(hash.name)};
    const Way prehashed{.hash = std::string(hash.name), .prehashed = true};
    const std::string value(
        AsText(ComputeHash(hash.algorithm, AsBytes(kInput)).value().View()));
    const bool hashes = GetParam().family != KeyFamily::kEd25519;
    EXPECT_THAT(Verify(key, plain, SignOf(key, prehashed, 0, value)), IsOkAndHolds(hashes))
        << hash.name;
    EXPECT_THAT(Verify(key, prehashed, SignOf(key, plain), value), IsOkAndHolds(hashes))
        << hash.name;
  }
}

TEST_P(Signatures, C8_AFlippedBitAnywhereIsRefused) {
  const Key& key = KeyOf(GetParam().type);
  for (const char* marshaling : {"asn1", "jws"}) {
    const Way way{.marshaling = marshaling};
    Bytes payload = PayloadOf(way, SignOf(key, way));
    for (std::size_t bit = 0; bit < payload.size() * 8; ++bit) {
      const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
      payload[bit / 8] ^= mask;
      ExpectRefused(Verify(key, way, WithPayload(way, payload)), "bit " + std::to_string(bit));
      payload[bit / 8] ^= mask;
    }
    EXPECT_THAT(Verify(key, way, WithPayload(way, payload)), IsOkAndHolds(true));
  }
}

TEST_P(Signatures, C8_EveryOtherLengthIsRefused) {
  const Key& key = KeyOf(GetParam().type);
  for (const char* marshaling : {"asn1", "jws"}) {
    const Way way{.marshaling = marshaling};
    const Bytes payload = PayloadOf(way, SignOf(key, way));
    for (std::size_t size = 0; size < payload.size(); ++size) {
      ExpectRefused(Verify(key, way, WithPayload(way, ByteView(payload).first(size))),
                    "size " + std::to_string(size));
    }
    for (const std::uint8_t extra : Bytes{0, 1, 255}) {
      Bytes longer = payload;
      longer.push_back(extra);
      ExpectRefused(Verify(key, way, WithPayload(way, longer)), "longer");
    }
  }
}

TEST_P(Signatures, C8_AnotherVersionKeyOrTypeRefuses) {
  const Key& key = KeyOf(GetParam().type);
  const Way way;
  std::string signature = SignOf(key, way, 1);
  signature[7] = '2';
  ExpectRefused(Verify(key, way, signature), "v1 as v2");
  const std::string genuine = SignOf(key, way, 2);
  for (const KeyTypeTraits& other : SigningTypes()) {
    if (other.type != GetParam().type) {
      ExpectRefused(Verify(KeyOf(other.type), way, genuine), std::string(other.name));
    }
  }
}

TEST_P(Signatures, AnotherMarshalingIsRefused) {
  const Key& key = KeyOf(GetParam().type);
  const Way asn1;
  const Way jws{.marshaling = "jws"};
  const Bytes der = PayloadOf(asn1, SignOf(key, asn1));
  const Bytes pair = PayloadOf(jws, SignOf(key, jws));
  if (GetParam().family == KeyFamily::kEcdsa) {
    ExpectRefused(Verify(key, jws, WithPayload(jws, der)), "DER as a pair");
    ExpectRefused(Verify(key, asn1, WithPayload(asn1, pair)), "a pair as DER");
  } else {
    EXPECT_THAT(Verify(key, jws, WithPayload(jws, der)), IsOkAndHolds(true)) << "same bytes";
  }
}

std::string NameOf(const ::testing::TestParamInfo<KeyTypeTraits>& info) {
  std::string name(info.param.name);
  std::ranges::replace(name, '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(EveryType, Signatures, ::testing::ValuesIn(SigningTypes()), NameOf);

TEST(RsaSignatures, OneSchemeHashOrSaltDoesNotVerifyAnother) {
  const Key& key = KeyOf(KeyType::kRsa2048);
  const Way pss{.salt_length = "hash"};
  const std::string signature = SignOf(key, pss);
  EXPECT_THAT(Verify(key, Way{}, signature), IsOkAndHolds(true)) << "auto detects the salt";
  EXPECT_THAT(Verify(key, Way{.salt_length = "20"}, signature), IsOkAndHolds(false));
  EXPECT_THAT(Verify(key, Way{.hash = "sha2-512"}, signature), IsOkAndHolds(false));
  EXPECT_THAT(Verify(key, Way{.scheme = "pkcs1v15"}, signature), IsOkAndHolds(false));
  const std::string old = SignOf(key, Way{.scheme = "pkcs1v15"});
  EXPECT_THAT(Verify(key, Way{}, old), IsOkAndHolds(false));
  EXPECT_THAT(Verify(key, Way{.hash = "sha2-224", .scheme = "pkcs1v15"}, old),
              IsOkAndHolds(false));
}

TEST(RsaSignatures, NoneSignsTheBareBytes) {
  const Key& key = KeyOf(KeyType::kRsa2048);
  const Way none{.hash = "none", .scheme = "pkcs1v15", .prehashed = true};
  for (const std::string& input : {std::string(), std::string("x"), std::string(245, 'y')}) {
    EXPECT_THAT(Verify(key, none, SignOf(key, none, 0, input), input), IsOkAndHolds(true));
  }
  const Result<SignOutcome> too_long =
      Sign(key, {.request = none.Request(), .input = AsBytes(std::string(246, 'y'))});
  EXPECT_THAT(too_long, HasError(ErrorCode::kInvalidArgument));
}

TEST(DerivedSignatures, C8_BelongToOneContextAndVersion) {
  const Key& key = KeyOf(KeyType::kEd25519, true);
  const Way way;
  std::string signature = SignOf(key, way, 1);
  EXPECT_THAT(Verify(key, way, signature), IsOkAndHolds(true));
  EXPECT_THAT(Verify(key, way, signature, kInput, "tenant-43"), IsOkAndHolds(false));
  signature[7] = '2';
  EXPECT_THAT(Verify(key, way, signature), IsOkAndHolds(false));
}

}  // namespace
}  // namespace kms::testing
