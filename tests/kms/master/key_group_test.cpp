// SPDX-License-Identifier: Apache-2.0
// How groups, master keys and wraps are stored, and how the form of earlier releases is moved.
#include "kms/master/key_group.h"

#include "tests/fakes/fault_plan.h"
#include "tests/fakes/memory_store.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using ::testing::ElementsAre;
using testing::FailEachCall;
using testing::FromHex;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::MemoryStore;
using ::testing::SizeIs;

const Uuid kId = Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value();
const std::string kIdText = kId.ToString();

KeyGroup Sample() {
  KeyGroup group;
  group.members = {{.hsm = "a", .order = 1, .weight = 2},
                   {.hsm = "b-2", .order = 0, .weight = 1000}};
  group.current_master = 3;
  group.key_checks[7].fill(0xab);
  return group;
}

constexpr const char* kSampleHex =
    "4701"
    "00000003"
    "00000002"
    "00000001"
    "61"
    "00000001"
    "00000002"
    "00000003"
    "622d32"
    "00000000"
    "000003e8"
    "00000001"
    "00000007"
    "abababababababababababababababab";

MasterKeyRecord Master(MasterKeyVersion version = 1) {
  MasterKeyRecord master;
  master.id = kId;
  master.version = version;
  master.label = "kms/prod/" + std::to_string(version);
  return master;
}

WrappedKey Wrap(std::uint8_t byte) {
  WrappedKey wrapped;
  wrapped.master_key_id = kId;
  wrapped.master_key_version = 1;
  wrapped.blob = Bytes(48, byte);
  return wrapped;
}

Mutation Put(const std::string& path, Bytes value) {
  return {.path = path, .value = std::move(value), .expected_revision = std::nullopt};
}

TEST(KeyGroup, IsTheFrozenFormat1) {
  EXPECT_EQ(Sample().Encode(), FromHex(kSampleHex));
  KMS_ASSERT_OK_AND_ASSIGN(const KeyGroup decoded, KeyGroup::Decode(FromHex(kSampleHex)));
  EXPECT_EQ(decoded, Sample());
}

TEST(KeyGroup, D24_RefusesWhatItDidNotWrite) {
  const Bytes good = Sample().Encode();
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(KeyGroup::Decode(ByteView{good}.first(size)), HasError(ErrorCode::kCorrupted))
        << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THAT(KeyGroup::Decode(longer), HasError(ErrorCode::kCorrupted));
  Bytes newer = good;
  newer[1] = 9;
  EXPECT_THAT(KeyGroup::Decode(newer), HasError(ErrorCode::kCorrupted, HasSubstr("format 9")));
  for (const auto& change : std::vector<std::function<void(KeyGroup&)>>{
           [](KeyGroup& group) { group.members.clear(); },
           [](KeyGroup& group) { std::swap(group.members[0], group.members[1]); },
           [](KeyGroup& group) { group.members[1].hsm = "a"; },
           [](KeyGroup& group) { group.members[0].hsm = "A"; },
           [](KeyGroup& group) { group.members[0].weight = 0; },
           [](KeyGroup& group) { group.members[0].weight = 1001; },
           [](KeyGroup& group) { group.current_master = 0; }}) {
    KeyGroup group = Sample();
    change(group);
    EXPECT_THAT(KeyGroup::Decode(group.Encode()), HasError(ErrorCode::kCorrupted));
  }
}

TEST(KeyGroup, WithLostTokensIsTheFrozenFormat2) {
  KeyGroup lost = Sample();
  lost.losses = {{"a", 1}, {"gone", 2}};
  std::string hex = kSampleHex;
  hex[3] = '2';
  const Bytes encoded = FromHex(hex +
                                "00000002"
                                "00000001"
                                "61"
                                "00000001"
                                "00000004"
                                "676f6e65"
                                "00000002");
  EXPECT_EQ(lost.Encode(), encoded);
  KMS_ASSERT_OK_AND_ASSIGN(const KeyGroup decoded, KeyGroup::Decode(encoded));
  EXPECT_EQ(decoded, lost);
  EXPECT_EQ(decoded.LossesOf("gone"), 2U);
  EXPECT_EQ(decoded.LossesOf("b-2"), 0U);
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_THAT(KeyGroup::Decode(ByteView{encoded}.first(size)), HasError(ErrorCode::kCorrupted))
        << size;
  }
  const auto refused = [&](const std::string& tail) {
    EXPECT_THAT(KeyGroup::Decode(FromHex(hex + tail)), HasError(ErrorCode::kCorrupted)) << tail;
  };
  refused("00000000");                                          // has another encoding
  refused("00000001" "00000001" "61" "00000000");               // was not lost at all
  refused("00000001" "00000001" "41" "00000001");               // no name
  refused("00000002" "00000001" "62" "00000001" "00000001" "61" "00000001");  // not in order
}

TEST(KeyGroup, NamesOfTokensAreShortAndPlain) {
  for (const char* good :
       {"a", "0", "hsm-1", "default", "a-", "abcdefghijabcdefghijabcdefghij12"}) {
    EXPECT_TRUE(IsHsmName(good)) << good;
  }
  for (const char* bad :
       {"", "-a", "A", "a/b", "a b", "a.b", "abcdefghijabcdefghijabcdefghij123"}) {
    EXPECT_FALSE(IsHsmName(bad)) << bad;
  }
}

// Frozen: a key made just before a crash must be found by every later release.
TEST(KeyGroup, H25_TheIdOfAMasterKeyFollowsFromWhatItIsFor) {
  const Uuid id = DeriveMasterKeyId(kId, "hsm-1", 2);
  EXPECT_EQ(id, DeriveMasterKeyId(kId, "hsm-1", 2));
  EXPECT_EQ(id.ToString()[14], '8');
  EXPECT_NE(id, DeriveMasterKeyId(kId, "hsm-1", 3));
  EXPECT_NE(id, DeriveMasterKeyId(kId, "hsm-2", 2));
  EXPECT_NE(id, DeriveMasterKeyId(Uuid(), "hsm-1", 2));
  EXPECT_EQ(id, DeriveMasterKeyId(kId, "hsm-1", 2, 0));
  EXPECT_NE(id, DeriveMasterKeyId(kId, "hsm-1", 2, 1));
  EXPECT_NE(DeriveMasterKeyId(kId, "hsm-1", 2, 2), DeriveMasterKeyId(kId, "hsm-1", 2, 1));
}

TEST(KeyGroup, ChecksTellKeysAndEnvironmentsApart) {
  SecretBytes key = SecretBytes::OfSize(32).value();
  KMS_ASSERT_OK_AND_ASSIGN(const KeyCheck check, CheckOf(kId, key));
  EXPECT_EQ(check, CheckOf(kId, key).value());
  EXPECT_NE(check, CheckOf(Uuid(), key).value());
  key.MutableView()[31] ^= 1U;
  EXPECT_NE(check, CheckOf(kId, key).value());
}

class GroupMaterialTest : public ::testing::Test {
 protected:
  void Store(const std::vector<Mutation>& mutations) {
    ASSERT_THAT(store_.Commit(mutations), IsOk());
  }
  void StoreNew() {
    Store({Put(GroupPath(kId), Sample().Encode()), Put(MasterPath(kId, "a", 1), Master(1).Encode()),
           Put(MasterPath(kId, "a", 3), Master(3).Encode()),
           Put(MasterPath(kId, "gone", 1), Master(1).Encode()),
           Put(WrappedPath(kId, 6, "a", 1), Wrap(1).Encode()),
           Put(WrappedPath(kId, 6, "a", 3), Wrap(2).Encode()),
           Put(WrappedPath(kId, 7, "b-2", 3), Wrap(3).Encode())});
  }
  void StoreOld() {
    Store({Put("master/" + kIdText, Master().Encode()),
           Put("wrapped/" + kIdText + "/0000000001", Wrap(1).Encode()),
           Put("wrapped/" + kIdText + "/0000000002", Wrap(2).Encode())});
  }

  MemoryStore store_;
};

TEST_F(GroupMaterialTest, IsReadByTokenAndVersion) {
  StoreNew();
  KMS_ASSERT_OK_AND_ASSIGN(const GroupMaterial material, ReadGroupMaterial(store_, kId));

  EXPECT_EQ(material.group, Sample());
  EXPECT_EQ(material.group_revision, 1U);
  EXPECT_THAT(material.Versions(), ElementsAre(6U, 7U));
  const MemberMaterial* const a = material.Find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_THAT(a->masters, SizeIs(2));
  EXPECT_EQ(a->FindWrap(6)->blob[0], 2);
  EXPECT_EQ(a->FindWrap(6, 1)->blob[0], 1);
  EXPECT_EQ(a->FindMaster(6)->version, 3U);
  EXPECT_EQ(a->FindWrap(7), nullptr);
  EXPECT_EQ(material.Find("b-2")->FindMaster(7), nullptr);
  EXPECT_NE(material.Find("gone"), nullptr) << "what a token had when it left";
  EXPECT_EQ(material.Find("none"), nullptr);
}

TEST_F(GroupMaterialTest, D10_DamageToOneTokensRecordsLeavesTheOthersUsable) {
  StoreNew();
  store_.Tamper(WrappedPath(kId, 6, "a", 3), Bytes{1, 2, 3});
  store_.Tamper(MasterPath(kId, "a", 3), Bytes{});
  KMS_ASSERT_OK_AND_ASSIGN(const GroupMaterial material, ReadGroupMaterial(store_, kId));

  EXPECT_TRUE(material.IsDamaged(WrappedPath(kId, 6, "a", 3)));
  EXPECT_TRUE(material.IsDamaged(MasterPath(kId, "a", 3)));
  EXPECT_EQ(material.Find("a")->FindWrap(6)->blob[0], 1);
}

TEST_F(GroupMaterialTest, D10_AVersionThatNoWrapOpensIsDamage) {
  StoreNew();
  store_.Tamper(WrappedPath(kId, 7, "b-2", 3), Bytes{1});
  EXPECT_THAT(ReadGroupMaterial(store_, kId),
              HasError(ErrorCode::kCorrupted, HasSubstr("restore a backup")));
}

TEST_F(GroupMaterialTest, NothingAtAllIsDamage) {
  EXPECT_THAT(ReadGroupMaterial(store_, kId), HasError(ErrorCode::kCorrupted));
  Store({Put(GroupPath(kId), Sample().Encode())});
  EXPECT_THAT(ReadGroupMaterial(store_, kId),
              HasError(ErrorCode::kCorrupted, HasSubstr("wrapped environment key is missing")));
}

TEST_F(GroupMaterialTest, TheFormOfEarlierReleasesIsMovedAsTheTokenDefault) {
  StoreOld();
  KMS_ASSERT_OK_AND_ASSIGN(const GroupMaterial material, ReadGroupMaterial(store_, kId));

  EXPECT_THAT(material.group.members, ElementsAre(GroupMember{.hsm = "default"}));
  EXPECT_EQ(material.group.current_master, 1U);
  EXPECT_THAT(material.Versions(), ElementsAre(1U, 2U));
  EXPECT_EQ(*material.Find("default")->FindMaster(1), Master());
  EXPECT_EQ(*material.Find("default")->FindWrap(2), Wrap(2));
  EXPECT_THAT(store_.Contents(), SizeIs(4));
  EXPECT_FALSE(store_.Contents().contains("master/" + kIdText));
}

TEST_F(GroupMaterialTest, MastersOfTheOldFormAreListedToo) {
  StoreOld();
  KMS_ASSERT_OK_AND_ASSIGN(const RecordedMasters recorded, ReadMasterKeys(store_, kId));
  EXPECT_EQ(recorded.at("default").at(1), Master());
}

TEST_F(GroupMaterialTest, AnOldFormThatIsIncompleteStaysAsItIs) {
  Store({Put("master/" + kIdText, Master().Encode())});
  EXPECT_THAT(ReadGroupMaterial(store_, kId), HasError(ErrorCode::kCorrupted));
  EXPECT_TRUE(store_.Contents().contains("master/" + kIdText));
}

TEST_F(GroupMaterialTest, D6_ALostAnswerOfTheMoveIsSettledByReading) {
  StoreOld();
  store_.LoseNextCommitAnswer();
  EXPECT_THAT(ReadGroupMaterial(store_, kId), IsOk());
}

TEST(GroupMaterialFaults, D2_TheMoveIsWholeOrNotAtAllWhateverCallFails) {
  std::unique_ptr<MemoryStore> store;
  FailEachCall(
      {.arrange =
           [&](int n) {
             store = std::make_unique<MemoryStore>();
             ASSERT_THAT(
                 store->Commit({Put("master/" + kIdText, Master().Encode()),
                                Put("wrapped/" + kIdText + "/0000000001", Wrap(1).Encode())}),
                 IsOk());
             store->FailCall(n);
           },
       .run = [&]() -> Status {
         KMS_TRY(ReadGroupMaterial(*store, kId));
         return Ok();
       },
       .check =
           [&](const Status& /*outcome*/) {
             store->Heal();
             const auto contents = store->Contents();
             const bool moved = contents.contains(GroupPath(kId));
             EXPECT_EQ(contents.contains("master/" + kIdText), !moved);
             EXPECT_THAT(contents, SizeIs(moved ? 3 : 2));
             KMS_ASSERT_OK_AND_ASSIGN(const GroupMaterial material, ReadGroupMaterial(*store, kId));
             EXPECT_EQ(*material.Find("default")->FindWrap(1), Wrap(1));
           }});
}

}  // namespace
}  // namespace kms
