// SPDX-License-Identifier: Apache-2.0
// Records of jwt mounts: frozen samples and damage.
#include "kms/identity/jwt_records.h"

#include "tests/kms/identity/login_world.h"

namespace kms {
namespace {

using testing::BytesOfHex;
using testing::HasError;

JwtConfig SampleConfig() {
  return {.oidc_discovery_url = "u",
          .oidc_discovery_ca_pem = "v",
          .jwks_url = "w",
          .jwks_ca_pem = "x",
          .jwks = "y",
          .jwt_validation_pubkeys = {"p", "q"},
          .bound_issuer = "i",
          .default_role = "r",
          .jwt_supported_algs = {"ES256"}};
}

JwtRole SampleRole() {
  JwtRole role;
  role.conditions.bound_audiences = {"kms"};
  role.conditions.bound_subject = "s";
  role.conditions.bound_claims["a"] = {
      {.kind = JsonValue::Kind::kBoolean, .text = "true"},
      {.kind = JsonValue::Kind::kInteger, .text = "-7", .integer = -7},
      {.kind = JsonValue::Kind::kString, .text = "x*"}};
  role.conditions.bound_claims_type = BoundClaimsType::kGlob;
  role.conditions.user_claim = "/u";
  role.conditions.user_claim_is_pointer = true;
  role.conditions.groups_claim = "g";
  role.conditions.claim_mappings = {{"c", "m"}};
  role.conditions.clock_skew_leeway = -1;
  role.conditions.expiration_leeway = 1;
  role.conditions.not_before_leeway = 2;
  role.bind_client_certificate = true;
  role.forbid_replay = true;
  return role;
}

constexpr std::string_view kConfigV1 =
    "43010000000175000000017600000001770000000178000000017900000002000000017000000001710000000169"
    "000000017200000001000000054553323536";
// Up to the token parameters, whose own frozen sample is elsewhere.
constexpr std::string_view kRoleV1Head =
    "520100000001000000036b6d7300000001730000000100000001610000000301000000047472756502000000022d37"
    "0300000002782a01000000022f75010000000167000000010000000163000000016dffffffffffffffff0000000000"
    "00000100000000000000020101";
constexpr std::string_view kSeenV1 = "58010000000069558680";

TEST(JwtRecords, TheFrozenFormatsStillOpen) {
  KMS_ASSERT_OK_AND_ASSIGN(const JwtConfig config, DecodeJwtConfig(BytesOfHex(kConfigV1)));
  EXPECT_EQ(config.jwks, "y");
  EXPECT_EQ(config.jwt_validation_pubkeys, SampleConfig().jwt_validation_pubkeys);
  EXPECT_EQ(HexEncode(EncodeJwtConfig(SampleConfig()).value().View()), kConfigV1);

  const Bytes encoded = CopyOf(EncodeJwtRole(SampleRole()).value().View());
  EXPECT_EQ(HexEncode(encoded).substr(0, kRoleV1Head.size()), kRoleV1Head);
  KMS_ASSERT_OK_AND_ASSIGN(const JwtRole role, DecodeJwtRole(encoded));
  EXPECT_EQ(role.conditions.bound_claims.at("a")[1].integer, -7);
  EXPECT_EQ(role.conditions.claim_mappings, SampleRole().conditions.claim_mappings);
  EXPECT_EQ(role.conditions.clock_skew_leeway, -1);
  EXPECT_TRUE(role.bind_client_certificate);

  EXPECT_EQ(DecodeSeenJwt(BytesOfHex(kSeenV1)).value(), 1'767'212'672);
  EXPECT_EQ(HexEncode(EncodeSeenJwt(1'767'212'672).value().View()), kSeenV1);
}

TEST(JwtRecords, EveryTruncationAndEveryWrongHeadIsDamage) {
  const Bytes config = CopyOf(EncodeJwtConfig(SampleConfig()).value().View());
  const Bytes role = CopyOf(EncodeJwtRole(SampleRole()).value().View());
  const auto damaged = HasError(ErrorCode::kCorrupted);
  for (std::size_t size = 0; size < config.size(); ++size) {
    EXPECT_THAT(DecodeJwtConfig(ByteView(config).first(size)), damaged) << size;
  }
  for (std::size_t size = 0; size < role.size(); ++size) {
    EXPECT_THAT(DecodeJwtRole(ByteView(role).first(size)), damaged) << size;
  }
  Bytes longer = role;
  longer.push_back(0);
  EXPECT_THAT(DecodeJwtRole(longer), damaged);
  for (const std::size_t at : {0U, 1U}) {
    Bytes other = role;
    ++other[at];
    EXPECT_THAT(DecodeJwtRole(other), damaged);
    other = config;
    ++other[at];
    EXPECT_THAT(DecodeJwtConfig(other), damaged);
  }
  EXPECT_THAT(DecodeJwtRole(config), damaged);
  EXPECT_THAT(DecodeSeenJwt(BytesOfHex("5801")), damaged);
  EXPECT_THAT(DecodeSeenJwt(config), damaged);
}

TEST(JwtRecords, AValueOfAnUnknownKindOrFormIsDamage) {
  const Bytes role = CopyOf(EncodeJwtRole(SampleRole()).value().View());
  const std::string hex = HexEncode(role);
  for (const auto& [from, to] : {std::pair{"010000000474727565", "040000000474727565"},
                                 std::pair{"010000000474727565", "010000000474727566"},
                                 std::pair{"02000000022d37", "02000000022d2d"}}) {
    std::string changed = hex;
    const std::size_t at = changed.find(from);
    ASSERT_NE(at, std::string::npos);
    changed.replace(at, std::string_view(from).size(), to);
    EXPECT_THAT(DecodeJwtRole(BytesOfHex(changed)), HasError(ErrorCode::kCorrupted)) << to;
  }
}

}  // namespace
}  // namespace kms
