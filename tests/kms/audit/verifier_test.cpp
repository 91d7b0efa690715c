// SPDX-License-Identifier: Apache-2.0
// AuditVerifier and checkpoints: every change of a log is found and named.
#include "kms/audit/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "kms/audit/chained_audit_log.h"
#include "kms/audit/checkpoint.h"
#include "tests/fakes/memory_audit_log.h"
#include "tests/kms/audit/audit_world.h"
#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;

// A P-256 key in memory, in place of the one in the HSM.
class TestKey {
 public:
  TestKey() : key_(EVP_EC_gen("P-256")) {}

  CheckpointSigner Signer() const {
    return {.sign = [this](ByteView message) { return Sign(message); }, .public_key = PublicKey()};
  }
  Bytes PublicKey() const {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key_.get(), &der);
    Bytes bytes(der, der + size);
    OPENSSL_free(der);
    return bytes;
  }

 private:
  struct KeyDeleter {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  };
  struct ContextDeleter {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };

  Result<Bytes> Sign(ByteView message) const {
    const std::unique_ptr<EVP_MD_CTX, ContextDeleter> context(EVP_MD_CTX_new());
    std::size_t size = 0;
    EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get());
    EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size());
    Bytes signature(size);
    if (EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) !=
        1) {
      return Internal("signing failed");
    }
    signature.resize(size);
    return signature;
  }

  std::unique_ptr<EVP_PKEY, KeyDeleter> key_;
};

Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(20); }

// A log of `records` records, with a checkpoint of `first` in the middle and of `last` at the end.
std::string SignedLog(int records, const TestKey& first, const TestKey& last) {
  const SystemClock clock;
  auto disk = std::make_shared<AuditDisk>();
  auto log =
      ChainedAuditLog::Open({.path = "audit.log", .open_file = AuditDisk::Opener(disk)}, clock);
  EXPECT_THAT(log, IsOk());
  for (int i = 0; i < records; ++i) {
    const auto ticket =
        (*log)->Append("\"type\":\"response\",\"request\":{\"id\":\"" + std::to_string(i) + "\"}");
    EXPECT_THAT(ticket, IsOk());
    if (i == records / 2 || i == records - 1) {
      const TestKey& key = i == records / 2 ? first : last;
      EXPECT_THAT((*log)->Await(*ticket, Soon()), IsOk());
      EXPECT_THAT(WriteCheckpoint(**log, (*log)->head(), key.Signer(), clock.Now(), Soon()),
                  IsOk());
    }
  }
  return disk->contents();
}

std::string SignedLog(int records, const TestKey& key) { return SignedLog(records, key, key); }

std::string Join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line + "\n";
  }
  return text;
}

class AuditVerifierTest : public ::testing::Test {
 protected:
  static constexpr int kRecords = 60;

  const TestKey key_;
  const std::string log_ = SignedLog(kRecords, key_);
  const std::vector<std::string> lines_ = LinesOf(log_);
};

TEST_F(AuditVerifierTest, AcceptsAnUntouchedLogAndSaysHowFarItIsSigned) {
  const AuditReport report = VerifyText(log_, {.trusted_keys = {key_.PublicKey()}});
  ASSERT_TRUE(report.ok()) << report.problem->what;
  EXPECT_EQ(report.records, kRecords + 3U);  // the start and two checkpoints
  EXPECT_EQ(report.checkpoints, 2U);
  EXPECT_EQ(report.first_seq, 1U);
  EXPECT_EQ(report.last_signed_seq, kRecords + 2U);
  EXPECT_EQ(report.unsigned_records(), 1U);
  EXPECT_EQ(report.signing_keys, std::vector<Bytes>{key_.PublicKey()});
}

TEST_F(AuditVerifierTest, GivesTheSameAnswerHoweverTheBytesArrive) {
  AuditVerifier verifier({});
  verifier.StartFile("audit.log");
  for (const char byte : log_) {
    ASSERT_TRUE(verifier.Feed({&byte, 1}));
  }
  EXPECT_EQ(verifier.Finish().head, VerifyText(log_).head);
}

TEST_F(AuditVerifierTest, L1_FindsEveryTruncationGivenTheNumberThatMustBeThere) {
  const std::uint64_t last = lines_.size();
  for (std::size_t size = log_.size() - 1; size > log_.size() - 900; --size) {
    const AuditReport report =
        VerifyText(std::string_view(log_).substr(0, size), {.at_least_seq = last});
    ASSERT_FALSE(report.ok()) << size;
    EXPECT_EQ(report.problem->expected_seq, report.records + 1);
  }
}

TEST_F(AuditVerifierTest, L2_FindsAndNamesEveryDeletedRecord) {
  for (std::size_t index = 0; index + 1 < lines_.size(); ++index) {
    std::vector<std::string> changed = lines_;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(index));
    const AuditReport report = VerifyText(Join(changed));
    ASSERT_FALSE(report.ok()) << index;
    EXPECT_EQ(report.problem->expected_seq, index + 1);
    EXPECT_EQ(report.problem->line, index + 1);
  }
}

TEST_F(AuditVerifierTest, L2_FindsAndNamesSwappedDuplicatedAndInsertedRecords) {
  for (std::size_t index = 0; index + 1 < lines_.size(); ++index) {
    const auto at = static_cast<std::ptrdiff_t>(index);
    std::vector<std::string> swapped = lines_;
    std::swap(swapped[index], swapped[index + 1]);
    std::vector<std::string> duplicated = lines_;
    duplicated.insert(duplicated.begin() + at, lines_[index]);
    std::vector<std::string> inserted = lines_;
    std::string forged;
    AppendChainedLine({.seq = index, .hash = {}}, "\"type\":\"response\"", forged);
    forged.pop_back();
    inserted.insert(inserted.begin() + at + 1, forged);
    EXPECT_EQ(VerifyText(Join(swapped)).records, index);
    EXPECT_EQ(VerifyText(Join(duplicated)).records, index + 1);
    EXPECT_EQ(VerifyText(Join(inserted)).records, index + 1);
  }
}

TEST_F(AuditVerifierTest, L3_FindsEveryChangedByte) {
  // The last record's contents are vouched for by nothing after it but its own signature.
  const std::size_t end = log_.size() - lines_.back().size() - 1;
  for (std::size_t offset = 0; offset < end; ++offset) {
    std::string changed = log_;
    changed[offset] = static_cast<char>(changed[offset] ^ 0x01);
    ASSERT_FALSE(VerifyText(changed).ok()) << offset;
  }
}

TEST_F(AuditVerifierTest, L5_FindsALogRebuiltWithoutTheKeyOfTheHsm) {
  const TestKey forger;
  const std::string rebuilt = SignedLog(kRecords, forger);
  const AuditReport report = VerifyText(rebuilt, {.trusted_keys = {key_.PublicKey()}});
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.problem->what, HasSubstr("another key"));
}

TEST_F(AuditVerifierTest, AcceptsALogThatTwoHsmsSignedGivenTheKeysOfBoth) {
  const TestKey other;
  const std::string log = SignedLog(kRecords, key_, other);
  const AuditReport report =
      VerifyText(log, {.trusted_keys = {other.PublicKey(), key_.PublicKey()}});
  ASSERT_TRUE(report.ok()) << report.problem->what;
  EXPECT_EQ(report.checkpoints, 2U);
  EXPECT_EQ(report.signing_keys, (std::vector<Bytes>{key_.PublicKey(), other.PublicKey()}));
}

TEST_F(AuditVerifierTest, L5_OfTwoSignersNoneIsTrustedThatWasNotGiven) {
  const TestKey other;
  const std::string log = SignedLog(kRecords, key_, other);
  const AuditReport one = VerifyText(log, {.trusted_keys = {key_.PublicKey()}});
  ASSERT_FALSE(one.ok());
  EXPECT_THAT(one.problem->what, HasSubstr("another key than those that were given"));
  const AuditReport none = VerifyText(log);
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.problem->what, HasSubstr("give the audit key of each"));
  EXPECT_EQ(none.checkpoints, 1U);
}

TEST_F(AuditVerifierTest, L5_FindsAChainRebuiltAroundAnOldSignature) {
  std::string rebuilt;
  AuditHead head;
  for (std::size_t index = 0; index < lines_.size(); ++index) {
    std::string members = lines_[index].substr(lines_[index].find(",\"type\"") + 1);
    members.pop_back();
    if (index == 5) {
      members = "\"type\":\"response\",\"request\":{\"id\":\"forged\"}";
    }
    head = AppendChainedLine(head, "\"time\":\"t\"," + members, rebuilt);
  }
  const AuditReport report = VerifyText(rebuilt);
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.problem->what, HasSubstr("checkpoint"));
}

TEST_F(AuditVerifierTest, L6_RefusesTheCheckpointOfAnotherLog) {
  std::string forged;
  AuditHead head;
  head = AppendChainedLine(head, "\"type\":\"log_started\"", forged);
  const std::string other = lines_.back();
  std::string members = other.substr(other.find("\"time\""));
  members.pop_back();
  AppendChainedLine(head, members, forged);
  EXPECT_FALSE(VerifyText(forged).ok());
}

TEST_F(AuditVerifierTest, NoticesThatTheBeginningIsMissingUnlessThatIsAllowed) {
  const std::vector<std::string> later(lines_.begin() + 10, lines_.end());
  const AuditReport refused = VerifyText(Join(later));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.problem->expected_seq, 1U);
  const AuditReport allowed = VerifyText(Join(later), {.earlier_files_may_be_missing = true});
  EXPECT_TRUE(allowed.ok()) << allowed.problem->what;
  EXPECT_EQ(allowed.first_seq, 11U);
}

TEST_F(AuditVerifierTest, NamesTheFileAndLineOfTheProblem) {
  const AuditDirectory directory;
  WriteWholeFile(directory.path("1"), Join({lines_[0], lines_[1]}));
  WriteWholeFile(directory.path("2"), Join({lines_[2], lines_[4]}));
  KMS_ASSERT_OK_AND_ASSIGN(const AuditReport report,
                           VerifyAuditFiles({directory.path("1"), directory.path("2")}, {}));
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.problem->file, directory.path("2"));
  EXPECT_EQ(report.problem->line, 2U);
  EXPECT_EQ(report.problem->expected_seq, 4U);
}

TEST(AuditVerifier, RefusesAFileThatIsNotThere) {
  EXPECT_THAT(VerifyAuditFiles({"/nonexistent/audit.log"}, {}), HasError(ErrorCode::kNotFound));
}

TEST(AuditVerifier, AcceptsAnEmptyLog) {
  EXPECT_TRUE(VerifyText("").ok());
  EXPECT_FALSE(VerifyText("", {.at_least_seq = 1}).ok());
}

TEST(AuditVerifier, L20_GivesUpOnALineLongerThanAnyRecord) {
  AuditVerifier verifier({});
  verifier.StartFile("hostile");
  const std::string piece(std::size_t{64} << 10U, 'x');
  int fed = 0;
  while (verifier.Feed(piece)) {
    ASSERT_LT(++fed, 100);
  }
  EXPECT_THAT(verifier.Finish().problem->what, HasSubstr("longer"));
}

TEST(AuditVerifier, L20_SurvivesDeepNesting) {
  std::string line;
  AppendChainedLine({}, "\"a\":" + std::string(100'000, '['), line);
  const AuditReport report = VerifyText(line);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.problem->line, 1U);
}

TEST(AuditVerifier, L20_NeverRepeatsWhatTheFileSays) {
  const AuditReport report = VerifyText("\x1B[2Jhostile\n");
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.problem->what.find_first_of("\x1B["), std::string::npos);
}

TEST(Checkpoint, FailsWhenTheSignerFails) {
  MemoryAuditLog log;
  const CheckpointSigner signer{
      .sign = [](ByteView) -> Result<Bytes> { return Unavailable("the HSM is away"); },
      .public_key = {}};
  EXPECT_THAT(WriteCheckpoint(log, {.seq = 1, .hash = {}}, signer, WallTime{}, Soon()),
              HasError(ErrorCode::kUnavailable));
  EXPECT_EQ(log.appends(), 0);
}

TEST(Checkpoint, FailsWhenItCannotBeWritten) {
  MemoryAuditLog log;
  log.FailWrites();
  const TestKey key;
  EXPECT_THAT(WriteCheckpoint(log, {.seq = 1, .hash = {}}, key.Signer(), WallTime{}, Soon()),
              HasError(ErrorCode::kUnavailable));
}

TEST(Checkpoint, VerifiesOnlyItsOwnMessageAndKey) {
  const TestKey key;
  const TestKey other;
  const std::string message = CheckpointMessage({.seq = 7, .hash = {}}, "t");
  KMS_ASSERT_OK_AND_ASSIGN(const Bytes signature, key.Signer().sign(AsBytes(message)));
  EXPECT_TRUE(VerifyCheckpointSignature(key.PublicKey(), signature, message));
  EXPECT_FALSE(VerifyCheckpointSignature(key.PublicKey(), signature, message + "x"));
  EXPECT_FALSE(VerifyCheckpointSignature(other.PublicKey(), signature, message));
  EXPECT_FALSE(VerifyCheckpointSignature({}, signature, message));
  EXPECT_FALSE(VerifyCheckpointSignature(key.PublicKey(), {}, message));
}

// Frozen: signatures made by every release must verify for ever.
TEST(Checkpoint, SignsThisText) {
  EXPECT_EQ(CheckpointMessage({.seq = 7, .hash = {0xAB}}, "2026-01-01T00:00:00.000000000Z"),
            "kms audit checkpoint v1\n7\nab" + std::string(62, '0') +
                "\n2026-01-01T00:00:00.000000000Z\n");
}

TEST(Checkpoint, SignsThisTextWhenItSaysHowTheStoreWas) {
  const StoreStatement store{.epoch = 12, .revision = 34, .digest = "cd"};
  EXPECT_EQ(CheckpointMessage({.seq = 7, .hash = {0xAB}}, "2026-01-01T00:00:00.000000000Z", store),
            "kms audit checkpoint v2\n7\nab" + std::string(62, '0') +
                "\n2026-01-01T00:00:00.000000000Z\n12\n34\ncd\n");
}

// A log whose only checkpoint says how the store was.
std::string LogWithStatement(const TestKey& key) {
  const SystemClock clock;
  auto disk = std::make_shared<AuditDisk>();
  auto log =
      ChainedAuditLog::Open({.path = "audit.log", .open_file = AuditDisk::Opener(disk)}, clock);
  EXPECT_THAT(log, IsOk());
  EXPECT_THAT(WriteCheckpoint(**log, (*log)->head(), key.Signer(), clock.Now(), Soon(),
                              StoreStatement{.epoch = 1200, .revision = 1234, .digest = "abcd"}),
              IsOk());
  return disk->contents();
}

TEST(Checkpoint, D12_TheEpochAndTheDigestAreReported) {
  const TestKey key;
  const AuditReport report = VerifyText(LogWithStatement(key));
  ASSERT_TRUE(report.ok()) << report.problem->what;
  EXPECT_EQ(report.store, (StoreStatement{.epoch = 1200, .revision = 1234, .digest = "abcd"}));
}

TEST(Checkpoint, D12_WhatItSaysOfTheStoreIsSigned) {
  const TestKey key;
  const std::string log = LogWithStatement(key);
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = log;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    return VerifyText(text);
  };
  EXPECT_FALSE(changed("\"epoch\":1200", "\"epoch\":1199").ok());
  EXPECT_FALSE(changed("\"store_revision\":1234", "\"store_revision\":1233").ok());
  EXPECT_FALSE(changed("\"store_digest\":\"abcd\"", "\"store_digest\":\"abce\"").ok());
  EXPECT_FALSE(
      changed("\"epoch\":1200,\"store_revision\":1234,\"store_digest\":\"abcd\",", "").ok());
  EXPECT_FALSE(changed("\"epoch\":1200,", "").ok());
}

}  // namespace
}  // namespace kms::testing
