// SPDX-License-Identifier: Apache-2.0
// The stored forms of tokens: what was written once opens for ever.
#include "kms/identity/token_record.h"

#include "kms/base/record_codec.h"
#include "kms/identity/batch_token.h"
#include "kms/identity/token_key.h"
#include "kms/identity/token_parameters_codec.h"
#include "kms/identity/token_roles.h"
#include "tests/kms/identity/token_world.h"

namespace kms {
namespace {

using testing::HasError;
using testing::IsOk;

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  for (std::size_t index = 0; index + 1 < hex.size(); index += 2) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(index, 2)), nullptr, 16)));
  }
  return bytes;
}

Sha256Digest Filled(std::uint8_t byte) {
  Sha256Digest digest{};
  digest.fill(byte);
  return digest;
}

StoredToken Sample() {
  StoredToken token;
  Principal& principal = token.principal;
  principal.id = Filled(0xaa);
  principal.accessor = "0123456789abcdef01234567";
  principal.display_name = "test-alice";
  principal.policies = {"app", "default"};
  principal.path = "auth/test/login";
  principal.role = "web";
  principal.metadata = {{"team", "blue"}};
  principal.entity_id = "entity";
  principal.alias_mount = "auth_test_1";
  principal.alias_name = "alice";
  principal.actor = "entity";
  principal.created_unix_seconds = 1'767'225'600;
  principal.creation_ttl_seconds = 3600;
  principal.explicit_max_ttl_seconds = 7200;
  principal.period_seconds = 60;
  principal.expires_unix_seconds = 1'767'229'200;
  principal.last_renewal_unix_seconds = 1'767'225'700;
  principal.num_uses = 9;
  principal.orphan = false;
  principal.renewable = true;
  principal.bound_cidrs = {CidrBlock::Parse("10.0.0.0/8").value(),
                           CidrBlock::Parse("2001:db8::1").value()};
  principal.bound_certificate = Filled(0xcc);
  token.parent = TokenReference{.id = Filled(0xdd), .issued_stamp = 5};
  token.generation = 2;
  token.issued_stamp = 7;
  token.max_ttl_seconds = 2'764'800;
  token.uses_left = 4;
  token.alias_metadata = {{"unit", "x"}};
  return token;
}

std::string HexOf(const SecretBytes& bytes) { return HexEncode(bytes.View()); }

constexpr std::string_view kFrozen =
    "4901001a00020000000000000007000000006955b9000000000000000e100000000000001c2000000000002a"
    "3000000000000000003c000000006955c710000000006955b964000000000000000900000000000000040000"
    "00183031323334353637383961626364656630313233343536370000000a746573742d616c6963650000000f"
    "617574682f746573742f6c6f67696e0000000377656200000006656e746974790000000b617574685f746573"
    "745f3100000005616c69636500000006656e7469747900000002000000036170700000000764656661756c74"
    "00000001000000047465616d00000004626c75650000000100000004756e6974000000017800000002000000"
    "0a31302e302e302e302f380000000b323030313a6462383a3a31cccccccccccccccccccccccccccccccccccc"
    "ccccccccccccccccccccccccccccdddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
    "dddd0000000000000005";

TEST(TokenRecord, OpensTheRecordOfTheFirstRelease) {
  EXPECT_EQ(HexOf(EncodeToken(Sample()).value()), kFrozen);
  KMS_ASSERT_OK_AND_ASSIGN(const StoredToken token, DecodeToken(FromHex(kFrozen), Filled(0xaa)));
  const StoredToken sample = Sample();
  EXPECT_EQ(HexOf(EncodeToken(token).value()), kFrozen);
  EXPECT_EQ(token.principal.metadata, sample.principal.metadata);
  EXPECT_EQ(token.principal.bound_cidrs, sample.principal.bound_cidrs);
  EXPECT_EQ(token.principal.bound_certificate, sample.principal.bound_certificate);
  EXPECT_EQ(token.principal.expires_unix_seconds, sample.principal.expires_unix_seconds);
  EXPECT_EQ(token.principal.id, Filled(0xaa));
  EXPECT_EQ(token.parent, sample.parent);
  EXPECT_EQ(token.uses_left, 4);
  EXPECT_EQ(token.alias_metadata, sample.alias_metadata);
}

TEST(TokenRecord, RefusesEveryShorterOrLongerRecord) {
  const Bytes whole = FromHex(kFrozen);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THAT(DecodeToken(ByteView(whole).first(length), {}), HasError(ErrorCode::kCorrupted))
        << length;
  }
  Bytes longer = whole;
  longer.push_back(0);
  EXPECT_THAT(DecodeToken(longer, {}), HasError(ErrorCode::kCorrupted));
}

TEST(TokenRecord, RefusesUnknownFormatsTypesAndFlags) {
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
    Bytes altered = FromHex(kFrozen);
    altered[index] = static_cast<std::uint8_t>(altered[index] + 2);
    EXPECT_THAT(DecodeToken(altered, {}), HasError(ErrorCode::kCorrupted)) << index;
  }
  Bytes altered = FromHex(kFrozen);
  altered[3] |= 0x20U;
  EXPECT_THAT(DecodeToken(altered, {}), HasError(ErrorCode::kCorrupted));
}

TEST(TokenRecord, AccessorsAndLinksHaveTheirForms) {
  EXPECT_EQ(HexOf(EncodeAccessor(Filled(0xab)).value()), "4a01" + HexEncode(Filled(0xab)));
  EXPECT_EQ(HexOf(EncodeChildLink().value()), "4c01");
  EXPECT_EQ(DecodeAccessor(EncodeAccessor(Filled(0xab))->View()).value(), Filled(0xab));
  EXPECT_THAT(DecodeAccessor(FromHex("4a02")), HasError(ErrorCode::kCorrupted));
}

TEST(TokenRecord, PathsAreReadBackExactly) {
  EXPECT_EQ(IdOfPath(TokenPath(Filled(0xab))), Filled(0xab));
  EXPECT_EQ(IdOfPath(ChildPath(Filled(1), Filled(2))), Filled(2));
  EXPECT_EQ(IdOfPath("tokens/root"), std::nullopt);
  EXPECT_EQ(IdOfPath("tokens/" + std::string(64, 'G')), std::nullopt);
  EXPECT_EQ(IdOfPath("tokens/" + std::string(64, 'A')), std::nullopt);
  EXPECT_EQ(IdOfPath(""), std::nullopt);
}

constexpr std::string_view kFrozenBatchToken =
    "hvb.Ad1-NeKMigzzbei0QFfSnuBRiIV4UU0K6fv0DVgHcbwVfqIDvATNH3UoYoHby44CyZjzNA9JzegyBQrvygzr"
    "-EgPlV4VIz2welqwMa_RlraUXQyEsSJbs9hgipyYWPh0hx6ZLPQ7XoyBH6w2Qr620BbYtyVPuZF7LH6OGg-hD422"
    "6uqZ6Yt77aRFw8Lmm1BD2DvEFhLjsgzPsWG9hZr6X9ZsqpQ8zfpiYhUK3R8XM61JLPr_ZZnZccDqOkdbFdnDKlyj"
    "R4o1BB4sQGD4UJ7v_gZ8WMB4ybG4q5TRigRQXNCHk0GDgf8jTBE4lpNa6U69cnxHEBmToVMKgttROgH8Hj8Kt0gY"
    "41T2OB3qmbTA71ZviaP8rDYxNNmXjih1ndnQQbtkWhhkicBJRarISQvsGd2byruPXgAgrIanFZDwZs4OIhzRlIe7"
    "kDWESwE6jVIiyVr7ximIYYoqjopX-oK-jn5U1-fU4i8KIDzfbnNQxjSbjOggoP0G9j1utxBmmEGwxBIcGC9TRosJ"
    "5OIV63-CqKctQu17tq-O8TmW";

TEST(BatchTokenForm, OpensTheTokenOfTheFirstRelease) {
  const TokenKey key = TokenKey::FromSecrets(Bytes(32, 0x0b), Bytes(32, 0x0c)).value();
  StoredToken sample = Sample();
  sample.principal.type = TokenType::kBatch;
  EXPECT_NE(AsText(SealBatchToken(key, sample)->View()),
            AsText(SealBatchToken(key, sample)->View()));
  KMS_ASSERT_OK_AND_ASSIGN(const std::optional<StoredToken> opened,
                           OpenBatchToken(key, kFrozenBatchToken));
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(opened->principal.alias_name, "alice");
  EXPECT_EQ(opened->parent, sample.parent);
  EXPECT_EQ(opened->principal.id, Sha256Digest{});
}

// HMAC-SHA-256 test case 2 of RFC 4231 does not fit a key of 32 bytes; this one was computed with
// `openssl dgst -sha256 -mac HMAC`.
TEST(TokenKey, HashesWithHmacSha256) {
  const TokenKey key = TokenKey::FromSecrets(Bytes(32, 0x0b), Bytes(32, 0x0c)).value();
  EXPECT_EQ(HexEncode(key.HashOf("hvs.example")),
            "ede75ea4bbbc909331c091e3b02fd37505e049a0ea40f2e01f0a46b3f756f074");
  EXPECT_THAT(TokenKey::FromSecrets(Bytes(31, 1), Bytes(32, 1)),
              HasError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(TokenKey::FromSecrets(Bytes(32, 1), Bytes(33, 1)),
              HasError(ErrorCode::kInvalidArgument));
}

TEST(TokenKey, NamesEntitiesAsTheFirstReleaseDid) {
  const TokenKey key = TokenKey::FromSecrets(Bytes(32, 0x0b), Bytes(32, 0x0c)).value();
  EXPECT_EQ(key.EntityId("auth_test_1", "alice"), "411c6e60-7d12-804d-9b4e-5350af99eaa1");
}

constexpr std::string_view kFrozenParameters =
    "0000004f010103000000000000003c000000000000007800000000000000b400000000000000f00000000000"
    "000005000000020000000361707000000003776562000000010000000a31302e302e302e302f38";

TEST(TokenParametersCodec, OpensTheRecordOfTheFirstRelease) {
  TokenParameters parameters;
  parameters.policies = {"app", "web"};
  parameters.ttl_seconds = 60;
  parameters.max_ttl_seconds = 120;
  parameters.explicit_max_ttl_seconds = 180;
  parameters.period_seconds = 240;
  parameters.num_uses = 5;
  parameters.no_default_policy = true;
  parameters.strictly_bind_ip = true;
  parameters.bound_cidrs = {CidrBlock::Parse("10.0.0.0/8").value()};
  parameters.type = GrantedTokenType::kService;
  RecordWriter writer;
  PutTokenParameters(parameters, writer);
  EXPECT_EQ(HexEncode(writer.Take()), kFrozenParameters);

  const Bytes stored = FromHex(kFrozenParameters);
  RecordReader reader(stored);
  const TokenParameters read = GetTokenParameters(reader);
  EXPECT_TRUE(reader.Finished());
  EXPECT_EQ(read.policies, parameters.policies);
  EXPECT_EQ(read.explicit_max_ttl_seconds, 180);
  EXPECT_EQ(read.bound_cidrs, parameters.bound_cidrs);
  EXPECT_TRUE(read.strictly_bind_ip);
  EXPECT_EQ(read.type, GrantedTokenType::kService);
}

TEST(TokenParametersCodec, FailsItsReaderOnDamage) {
  const Bytes whole = FromHex(kFrozenParameters);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    RecordReader reader(ByteView(whole).first(length));
    GetTokenParameters(reader);
    EXPECT_TRUE(reader.failed()) << length;
  }
  Bytes altered = whole;
  altered[5] = 9;  // type
  RecordReader reader(altered);
  GetTokenParameters(reader);
  EXPECT_TRUE(reader.failed());
}

// ---- entries that were written by hand from the drawings of their formats -----------------------

class TokenEntriesTest : public testing::TokenWorld {
 protected:
  void Put(std::string path, std::string_view hex) {
    std::vector<SealedMutation> mutations;
    mutations.push_back(
        {.path = std::move(path), .value = SecretBytes::CopyOf(FromHex(hex)).value()});
    ASSERT_THAT(sys_.Commit(std::move(mutations)), IsOk());
  }
};

TEST_F(TokenEntriesTest, ARevokedSourceOfTheFirstReleaseIsRemembered) {
  const std::string alice = Issue(AsBatch(LoginGrantOf("auth_a", "alice", "web")));
  const std::string bob = Issue(AsBatch(LoginGrantOf("auth_a", "bob", "web")));
  // Stamp 2^62, with role "web" and alias "alice".
  Put("revoked-sources/auth_a/x",
      "56014000000000000000"
      "0101"
      "00000006617574685f61"
      "00000003776562"
      "00000005616c696365");
  Reopen();
  EXPECT_FALSE(IsGood(alice));
  EXPECT_TRUE(IsGood(bob));
  EXPECT_TRUE(IsGood(Issue(LoginGrantOf("auth_a", "alice", "web"))));
}

TEST_F(TokenEntriesTest, D10_ADamagedSourceOrBoundStopsTheStart) {
  Put("revoked-sources/auth_a/x", "56014000");
  EXPECT_THAT(TokenStore::Open(sys_, *policies_, clock_, kRoot, options_),
              HasError(ErrorCode::kCorrupted));
  Put("identity/token-stamps", "5701ff");
  EXPECT_THAT(TokenStore::Open(sys_, *policies_, clock_, kRoot, options_),
              HasError(ErrorCode::kCorrupted));
}

TEST_F(TokenEntriesTest, ATokenRoleOfTheFirstReleaseIsRead) {
  Put("token-roles/ci",
      "4f010100"
      "000000026369"
      "0000000100000003617070"
      "00000000"
      "0000000100000002782d"
      "00000000"
      "00000033010000" +
          std::string(80, '0') + "0000000000000000");
  TokenRoles roles(sys_);
  KMS_ASSERT_OK_AND_ASSIGN(const std::optional<TokenRole> role,
                           roles.Read(IdentityName::Parse("ci").value()));
  ASSERT_TRUE(role.has_value());
  EXPECT_TRUE(role->orphan);
  EXPECT_FALSE(role->renewable);
  EXPECT_EQ(role->path_suffix, "ci");
  EXPECT_THAT(role->allowed_policies, ::testing::ElementsAre("app"));
  EXPECT_THAT(role->allowed_policies_glob, ::testing::ElementsAre("x-"));
  EXPECT_EQ(roles.List("", 10).value(), std::vector<std::string>{"ci"});
}

TEST_F(TokenEntriesTest, NoFaultWritesHalfATokenRole) {
  TokenRoles roles(sys_);
  const IdentityName name = IdentityName::Parse("ci").value();
  TokenRole role;
  role.allowed_policies = {"app"};
  store_.FailCommit(1);
  EXPECT_THAT(roles.Write(name, role), HasError(ErrorCode::kUnavailable));
  EXPECT_FALSE(roles.Read(name)->has_value());
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(roles.Write(name, role), IsOk());
  EXPECT_TRUE(roles.Read(name)->has_value());
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(roles.Delete(name), IsOk());
  EXPECT_FALSE(roles.Read(name)->has_value());
}

}  // namespace
}  // namespace kms
