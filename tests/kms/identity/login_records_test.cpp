// SPDX-License-Identifier: Apache-2.0
// Frozen samples of what login methods store: written once, they open for ever.
#include "kms/auth/totp.h"
#include "kms/identity/approle_records.h"
#include "kms/identity/userpass_record.h"
#include "tests/kms/identity/login_world.h"

namespace kms {
namespace {

using testing::Block;
using testing::BytesOfHex;
using ::testing::ElementsAre;
using testing::HasError;

// Made by hand from the drawings in approle_records.cpp and token_parameters_codec.cpp.
constexpr std::string_view kParameters =
    "000000480102000000000000000058000000000000005900000000000000000000000000000000"
    "00000000000000030000000100000003617070000000010000000a31302e302e302e302f38";

std::string RoleHex() {
  return "52016f0c8d6a6f0e4f1c9b1e0a4f1d0f8f11000000066f7264657273010000000000000000050000000000000"
         "03c"
         "000000010000000a31302e302e302e302f38" +
         std::string(kParameters) + std::string(64, '7');
}

std::string SecretIdHex() {
  return "530100000003616363000000006955b900000000006955b901000000006955b93c"
         "000000000000003c01000000000000000200000001000000047465616d00000004626c7565"
         "000000010000000831302e302e302e3700000000";
}

template <typename Record>
void ExpectNoCutOpens(const Bytes& whole, Result<Record> (*decode)(ByteView)) {
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(decode(ByteView(whole).first(size)), HasError(ErrorCode::kCorrupted)) << size;
  }
  Bytes longer = whole;
  longer.push_back(0);
  EXPECT_THAT(decode(longer), HasError(ErrorCode::kCorrupted));
}

TEST(LoginRecords, OpenTheFrozenRole) {
  const Bytes frozen = BytesOfHex(RoleHex());
  KMS_ASSERT_OK_AND_ASSIGN(const StoredAppRole role, DecodeAppRole(frozen));
  EXPECT_EQ(role.id.ToString(), "6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11");
  EXPECT_EQ(role.role_id, "orders");
  EXPECT_TRUE(role.settings.bind_secret_id);
  EXPECT_FALSE(role.settings.local_secret_ids);
  EXPECT_EQ(role.settings.secret_id_num_uses, 5);
  EXPECT_EQ(role.settings.secret_id_ttl_seconds, 60);
  EXPECT_THAT(role.settings.secret_id_bound_cidrs, ElementsAre(Block("10.0.0.0/8")));
  EXPECT_THAT(role.settings.parameters.policies, ElementsAre("app"));
  EXPECT_EQ(role.settings.parameters.type, GrantedTokenType::kBatch);
  EXPECT_EQ(role.settings.parameters.ttl_seconds, 88);
  EXPECT_EQ(role.settings.parameters.max_ttl_seconds, 89);
  EXPECT_EQ(role.settings.parameters.num_uses, 3);
  EXPECT_EQ(CopyOf(role.secret_id_key.View()), Bytes(32, 0x77));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes again, EncodeAppRole(role));
  EXPECT_EQ(HexEncode(again.View()), RoleHex());
  ExpectNoCutOpens(frozen, DecodeAppRole);
}

TEST(LoginRecords, OpenTheFrozenSecretId) {
  const Bytes frozen = BytesOfHex(SecretIdHex());
  KMS_ASSERT_OK_AND_ASSIGN(const StoredSecretId secret_id, DecodeSecretId(frozen));
  EXPECT_EQ(secret_id.accessor, "acc");
  EXPECT_EQ(secret_id.created_unix_seconds, 1'767'225'600);
  EXPECT_EQ(secret_id.updated_unix_seconds, 1'767'225'601);
  EXPECT_EQ(secret_id.expires_unix_seconds, 1'767'225'660);
  EXPECT_EQ(secret_id.ttl_seconds, 60);
  EXPECT_TRUE(secret_id.limited);
  EXPECT_EQ(secret_id.uses_left, 2);
  EXPECT_EQ(secret_id.metadata, (std::map<std::string, std::string>{{"team", "blue"}}));
  EXPECT_THAT(secret_id.cidr_list, ElementsAre(Block("10.0.0.7")));
  EXPECT_THAT(secret_id.token_bound_cidrs, ElementsAre());
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes again, EncodeSecretId(secret_id));
  EXPECT_EQ(HexEncode(again.View()), SecretIdHex());
  ExpectNoCutOpens(frozen, DecodeSecretId);
}

TEST(LoginRecords, OpenTheFrozenIndexes) {
  const Bytes accessor = BytesOfHex("4101" + std::string(64, '9'));
  Sha256Digest digest{};
  digest.fill(0x99);
  EXPECT_THAT(DecodeSecretIdAccessor(accessor), testing::IsOkAndHolds(digest));
  ExpectNoCutOpens(accessor, DecodeSecretIdAccessor);
  const Bytes index = BytesOfHex("490100000003617070");
  EXPECT_THAT(DecodeRoleIdIndex(index), testing::IsOkAndHolds("app"));
  ExpectNoCutOpens(index, DecodeRoleIdIndex);
}

TEST(LoginRecords, OpenTheFrozenUser) {
  const std::string hex = "55010000000461726732" + std::string(kParameters) +
                          "01"
                          "0000000000000007"
                          "02" +
                          std::string(64, '3') + std::string(64, '4') +
                          "01"
                          "0000000000000000"
                          "00" +
                          std::string(40, '1') + std::string(64, '2') + std::string(40, '5') +
                          std::string(64, '6');
  const Bytes frozen = BytesOfHex(hex);
  KMS_ASSERT_OK_AND_ASSIGN(const StoredUser user, DecodeUser(frozen));
  EXPECT_EQ(user.password_hash, "arg2");
  EXPECT_THAT(user.parameters.policies, ElementsAre("app"));
  ASSERT_TRUE(user.active.has_value());
  EXPECT_EQ(user.active->last_used_step, 7);
  EXPECT_EQ(user.active->backup_codes.size(), 2U);
  EXPECT_EQ(CopyOf(user.active->secret.View()), Bytes(kTotpSecretBytes, 0x11));
  EXPECT_EQ(CopyOf(user.active->backup_key.View()), Bytes(kBackupKeyBytes, 0x22));
  ASSERT_TRUE(user.pending.has_value());
  EXPECT_EQ(CopyOf(user.pending->secret.View()), Bytes(kTotpSecretBytes, 0x55));
  EXPECT_EQ(CopyOf(user.pending->backup_key.View()), Bytes(kBackupKeyBytes, 0x66));
  KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes again, EncodeUser(user));
  EXPECT_EQ(HexEncode(again.View()), hex);
  ExpectNoCutOpens(frozen, DecodeUser);
}

// A record of one kind, or of a format to come, is never taken for another.
TEST(LoginRecords, RefuseOtherKindsAndFormats) {
  for (const std::size_t at : {std::size_t{0}, std::size_t{1}}) {
    Bytes role = BytesOfHex(RoleHex());
    role[at] ^= 3U;
    EXPECT_THAT(DecodeAppRole(role), HasError(ErrorCode::kCorrupted));
    Bytes secret_id = BytesOfHex(SecretIdHex());
    secret_id[at] ^= 3U;
    EXPECT_THAT(DecodeSecretId(secret_id), HasError(ErrorCode::kCorrupted));
  }
}

}  // namespace
}  // namespace kms
