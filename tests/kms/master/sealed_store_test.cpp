// SPDX-License-Identifier: Apache-2.0
#include "kms/master/sealed_store.h"

#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fakes/memory_store.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using ::testing::HasSubstr;
using testing::HasError;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::MemoryStore;

SecretBytes SecretOf(std::string_view text) { return SecretBytes::CopyOf(AsBytes(text)).value(); }

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  for (std::size_t index = 0; index + 1 < hex.size(); index += 2) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(index, 2)), nullptr, 16)));
  }
  return bytes;
}

class SealedStoreTest : public ::testing::Test {
 protected:
  SealedStoreTest() {
    EXPECT_THAT(keys_.Add(1, SecretBytes::CopyOf(Bytes(32, 0x11)).value()), IsOk());
  }

  static SealedMutation Put(std::string path, std::string_view value,
                            std::optional<Revision> expected = std::nullopt) {
    return {.path = std::move(path), .value = SecretOf(value), .expected_revision = expected};
  }
  static Status Write(SealedStore& store, std::string path, std::string_view value) {
    std::vector<SealedMutation> mutations;
    mutations.push_back(Put(std::move(path), value));
    KMS_TRY(store.Commit(std::move(mutations)));
    return Ok();
  }
  // The raw bytes of an entry, where the database has them.
  Bytes Raw(const Uuid& id, std::string_view path) {
    return store_.Contents().at("e/" + id.ToString() + "/" + std::string(path)).value;
  }
  void Tamper(const Uuid& id, std::string_view path, Bytes bytes) {
    store_.Tamper("e/" + id.ToString() + "/" + std::string(path), std::move(bytes));
  }

  MemoryStore store_;
  EnvironmentKeyring keys_;
  const Uuid id_ = Uuid::Parse("6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11").value();
  SealedStore sealed_{store_, keys_, id_};
};

TEST_F(SealedStoreTest, C4_EverySealOfAnEntryHasAKeyOfItsOwn) {
  constexpr std::size_t kSeals = 10'000;
  constexpr std::size_t kSaltAt = 5;
  constexpr std::size_t kSaltBytes = 32;
  std::set<Bytes> salts;
  for (std::size_t seal = 0; seal < kSeals; ++seal) {
    std::vector<SealedMutation> mutations;
    mutations.push_back(Put("keys/app", "secret"));
    KMS_ASSERT_OK_AND_ASSIGN(const std::vector<Mutation> sealed, sealed_.Seal(mutations));
    salts.insert(CopyOf(ByteView(*sealed.front().value).subspan(kSaltAt, kSaltBytes)));
  }
  EXPECT_EQ(salts.size(), kSeals);
}

TEST_F(SealedStoreTest, ReturnsWhatWasStored) {
  ASSERT_THAT(Write(sealed_, "keys/app", "secret"), IsOk());

  KMS_ASSERT_OK_AND_ASSIGN(const auto entry, sealed_.Get("keys/app"));
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(AsText(entry->value.View()), "secret");
  EXPECT_EQ(entry->revision, 1U);
}

TEST_F(SealedStoreTest, KeepsEmptyValues) {
  ASSERT_THAT(Write(sealed_, "mark", ""), IsOk());

  KMS_ASSERT_OK_AND_ASSIGN(const auto entry, sealed_.Get("mark"));
  ASSERT_TRUE(entry.has_value());
  EXPECT_TRUE(entry->value.empty());
}

TEST_F(SealedStoreTest, SealsTheSameValueDifferentlyEachTime) {
  ASSERT_THAT(Write(sealed_, "keys/app", "secret"), IsOk());
  const Bytes first = Raw(id_, "keys/app");
  ASSERT_THAT(Write(sealed_, "keys/app", "secret"), IsOk());

  EXPECT_NE(first, Raw(id_, "keys/app"));
}

TEST_F(SealedStoreTest, ListsPathsAsTheEnvironmentKnowsThem) {
  for (const char* path : {"keys/b", "keys/a", "archive/x", "keys/c"}) {
    ASSERT_THAT(Write(sealed_, path, "v"), IsOk());
  }

  KMS_ASSERT_OK_AND_ASSIGN(const auto entries, sealed_.List("keys/", "keys/a", 10));
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].path, "keys/b");
  EXPECT_EQ(entries[1].path, "keys/c");
}

TEST_F(SealedStoreTest, HonoursExpectedRevisions) {
  ASSERT_THAT(Write(sealed_, "keys/app", "one"), IsOk());
  std::vector<SealedMutation> mutations;
  mutations.push_back(Put("keys/app", "two", 0));

  EXPECT_THAT(sealed_.Commit(std::move(mutations)), HasError(ErrorCode::kConflict));
}

TEST_F(SealedStoreTest, OpensTheFrozenFormat1) {
  // Computed with pyca/cryptography: HKDF-SHA-256(key = 32 x 11, salt = 32 x 22, info = "kms sealed
  // entry v1"), AES-256-GCM, nonce = 12 x 33, AAD = head | id | "keys/app", plaintext "frozen".
  std::ifstream file(KMS_SOURCE_DIR "/tests/vectors/sealed_entry_v1.hex");
  std::string hex;
  ASSERT_TRUE(file >> hex);
  Tamper(id_, "keys/app", FromHex(hex));

  KMS_ASSERT_OK_AND_ASSIGN(const auto entry, sealed_.Get("keys/app"));
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(AsText(entry->value.View()), "frozen");
}

TEST_F(SealedStoreTest, D9_RefusesEntriesMovedBetweenPaths) {
  ASSERT_THAT(Write(sealed_, "keys/a", "value of a"), IsOk());
  ASSERT_THAT(Write(sealed_, "keys/b", "value of b"), IsOk());
  const Bytes a = Raw(id_, "keys/a");
  Tamper(id_, "keys/a", Raw(id_, "keys/b"));
  Tamper(id_, "keys/b", a);

  EXPECT_THAT(sealed_.Get("keys/a"), HasError(ErrorCode::kCorrupted, "damaged entry"));
  EXPECT_THAT(sealed_.Get("keys/b"), HasError(ErrorCode::kCorrupted, "damaged entry"));
}

TEST_F(SealedStoreTest, D9_RefusesEntriesMovedBetweenEnvironmentsEvenUnderOneKey) {
  const Uuid other_id = Uuid::Random();
  SealedStore other{store_, keys_, other_id};
  ASSERT_THAT(Write(sealed_, "keys/a", "prod"), IsOk());
  ASSERT_THAT(Write(other, "keys/a", "dev"), IsOk());
  Tamper(other_id, "keys/a", Raw(id_, "keys/a"));

  EXPECT_THAT(other.Get("keys/a"), HasError(ErrorCode::kCorrupted, "damaged entry"));
}

TEST_F(SealedStoreTest, D8_RefusesEveryFlippedBitAndEveryTruncation) {
  ASSERT_THAT(Write(sealed_, "keys/a", "value"), IsOk());
  const Bytes good = Raw(id_, "keys/a");
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    Tamper(id_, "keys/a", bad);
    ASSERT_THAT(sealed_.Get("keys/a"), HasError(ErrorCode::kCorrupted, HasSubstr("damaged entry")))
        << "bit " << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    Tamper(id_, "keys/a", Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)));
    ASSERT_THAT(sealed_.Get("keys/a"), HasError(ErrorCode::kCorrupted, HasSubstr("damaged entry")))
        << "size " << size;
  }
}

TEST_F(SealedStoreTest, D24_NamesTheFormatOfANewerRelease) {
  ASSERT_THAT(Write(sealed_, "keys/a", "value"), IsOk());
  Bytes newer = Raw(id_, "keys/a");
  newer[0] = 2;
  Tamper(id_, "keys/a", newer);

  EXPECT_THAT(sealed_.Get("keys/a"),
              HasError(ErrorCode::kCorrupted,
                       "damaged entry: format 2 is unknown, this release reads format 1"));
}

TEST_F(SealedStoreTest, D32_LeavesNoPlaintextInTheStore) {
  const std::string planted = "planted key bytes 0123456789abcdef";
  ASSERT_THAT(Write(sealed_, "keys/a", planted), IsOk());

  for (const auto& [path, stored] : store_.Contents()) {
    EXPECT_EQ(AsText(stored.value).find(planted.substr(0, 8)), std::string_view::npos) << path;
  }
}

TEST_F(SealedStoreTest, AnswersNothingWhileSealed) {
  ASSERT_THAT(Write(sealed_, "keys/a", "value"), IsOk());
  keys_.Wipe();

  EXPECT_THAT(sealed_.Get("keys/a"), HasError(ErrorCode::kUnavailable, "environment is sealed"));
  EXPECT_THAT(sealed_.Get("keys/none"), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(sealed_.List("keys/", "", 1), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(Write(sealed_, "keys/b", "value"), HasError(ErrorCode::kUnavailable));
}

TEST_F(SealedStoreTest, OpensOldEntriesAfterANewVersionSealsNewOnes) {
  ASSERT_THAT(Write(sealed_, "keys/old", "old"), IsOk());
  ASSERT_THAT(keys_.Add(2, SecretBytes::CopyOf(Bytes(32, 0x22)).value()), IsOk());
  ASSERT_THAT(Write(sealed_, "keys/new", "new"), IsOk());

  KMS_ASSERT_OK_AND_ASSIGN(const auto entry, sealed_.Get("keys/old"));
  EXPECT_EQ(AsText(entry->value.View()), "old");
  EXPECT_EQ(Raw(id_, "keys/old")[4], 1);
  EXPECT_EQ(Raw(id_, "keys/new")[4], 2);
}

TEST_F(SealedStoreTest, D2_SealsAgainUnderTheLatestKeyAndKeepsTheRevision) {
  for (const char* path : {"keys/a", "keys/b", "keys/c"}) {
    ASSERT_THAT(Write(sealed_, path, path), IsOk());
  }
  ASSERT_THAT(keys_.Add(2, SecretBytes::CopyOf(Bytes(32, 0x22)).value()), IsOk());
  ASSERT_THAT(Write(sealed_, "keys/b", "newer"), IsOk());

  EXPECT_THAT(sealed_.Reseal({"keys/a", "keys/b", "keys/c", "keys/none"}), IsOkAndHolds(2U));

  for (const char* path : {"keys/a", "keys/b", "keys/c"}) {
    EXPECT_THAT(sealed_.KeyVersionOf(path), IsOkAndHolds(std::optional<EnvironmentKeyVersion>(2)));
  }
  KMS_ASSERT_OK_AND_ASSIGN(const auto entry, sealed_.Get("keys/a"));
  EXPECT_EQ(AsText(entry->value.View()), "keys/a");
  EXPECT_EQ(entry->revision, 1U);
  EXPECT_THAT(sealed_.Reseal({"keys/a", "keys/b", "keys/c"}), IsOkAndHolds(0U));
}

TEST_F(SealedStoreTest, SealsAgainWhatDidNotChangeWhenSomethingElseDid) {
  for (const char* path : {"keys/a", "keys/b"}) {
    ASSERT_THAT(Write(sealed_, path, path), IsOk());
  }
  ASSERT_THAT(keys_.Add(2, SecretBytes::CopyOf(Bytes(32, 0x22)).value()), IsOk());
  store_.FailCommit(1, ErrorCode::kConflict);
  store_.FailCommit(2, ErrorCode::kConflict);

  EXPECT_THAT(sealed_.Reseal({"keys/a", "keys/b"}), IsOkAndHolds(1U));
  EXPECT_EQ(Raw(id_, "keys/a")[4], 1);
  EXPECT_EQ(Raw(id_, "keys/b")[4], 2);
}

TEST_F(SealedStoreTest, LeavesWhatDoesNotOpenAsItIs) {
  ASSERT_THAT(Write(sealed_, "keys/a", "a"), IsOk());
  ASSERT_THAT(Write(sealed_, "keys/b", "b"), IsOk());
  Bytes damaged = Raw(id_, "keys/a");
  damaged.back() ^= 1U;
  Tamper(id_, "keys/a", damaged);
  ASSERT_THAT(keys_.Add(2, SecretBytes::CopyOf(Bytes(32, 0x22)).value()), IsOk());

  EXPECT_THAT(sealed_.Reseal({"keys/a", "keys/b"}), IsOkAndHolds(1U));
  EXPECT_EQ(Raw(id_, "keys/a"), damaged);
}

TEST_F(SealedStoreTest, D2_ReadsAgainWhatWasSealedAgainWhileItWasRead) {
  // The reader has the old bytes; before it opens them the entry is sealed again and the old key
  // forgotten.
  class RacingStore final : public Store {
   public:
    explicit RacingStore(MemoryStore& store) : store_(store) {}
    Result<std::optional<StoredValue>> Get(std::string_view path) override {
      Result<std::optional<StoredValue>> got = store_.Get(path);
      if (auto race = std::exchange(race_, nullptr)) {
        race();
      }
      return got;
    }
    Result<std::vector<ListedEntry>> List(std::string_view prefix, std::string_view after,
                                          std::size_t limit) override {
      return store_.List(prefix, after, limit);
    }
    Result<Revision> Commit(const std::vector<Mutation>& mutations) override {
      return store_.Commit(mutations);
    }
    Result<Revision> CurrentRevision() override { return store_.CurrentRevision(); }
    void Subscribe(ChangeListener listener) override { store_.Subscribe(std::move(listener)); }
    void RaceOnce(std::function<void()> race) { race_ = std::move(race); }

   private:
    MemoryStore& store_;
    std::function<void()> race_;
  };
  ASSERT_THAT(Write(sealed_, "keys/a", "value"), IsOk());
  RacingStore racing(store_);
  SealedStore reader{racing, keys_, id_};
  racing.RaceOnce([this] {
    ASSERT_THAT(keys_.Add(2, SecretBytes::CopyOf(Bytes(32, 0x22)).value()), IsOk());
    ASSERT_THAT(sealed_.Reseal({"keys/a"}), IsOk());
    std::map<EnvironmentKeyVersion, SecretBytes> left;
    left.emplace(2, SecretBytes::CopyOf(Bytes(32, 0x22)).value());
    ASSERT_THAT(keys_.Replace(std::move(left)), IsOk());
  });

  KMS_ASSERT_OK_AND_ASSIGN(const auto entry, reader.Get("keys/a"));
  EXPECT_EQ(AsText(entry->value.View()), "value");
}

TEST_F(SealedStoreTest, D2_WaitsForCommitsThatSealedBefore) {
  using std::chrono::milliseconds;
  EXPECT_THAT(sealed_.AwaitCommits(milliseconds(1)), IsOk());
  {
    const SealedStore::Sealing stalled = sealed_.BeginSealing();
    EXPECT_THAT(sealed_.AwaitCommits(milliseconds(1)), HasError(ErrorCode::kUnavailable));
  }
  std::promise<void> begun;
  std::thread ends([&] {
    const SealedStore::Sealing slow = sealed_.BeginSealing();
    begun.set_value();
  });
  begun.get_future().wait();
  EXPECT_THAT(sealed_.AwaitCommits(milliseconds(60'000)), IsOk());
  ends.join();
}

TEST_F(SealedStoreTest, CommitsTogetherWithEntriesOfOthers) {
  std::vector<SealedMutation> mutations;
  mutations.push_back(Put("keys/a", "value"));
  ASSERT_THAT(sealed_.Commit(mutations, {{.path = "plain", .value = Bytes{1}}}), IsOk());
  EXPECT_TRUE(store_.Contents().contains("plain"));
  EXPECT_EQ(store_.commits(), 1);
}

}  // namespace
}  // namespace kms
