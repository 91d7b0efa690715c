// SPDX-License-Identifier: Apache-2.0
// AuditRecord and its strings: one line, bounded, inert, nothing that is not on the list.
#include "kms/audit/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kms/audit/json_text.h"

namespace kms::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using Json = nlohmann::json;

std::string Quoted(std::string_view text, std::size_t max_bytes = 1000) {
  std::string out;
  AppendJsonString(text, max_bytes, out);
  return out;
}

std::string MembersOf(const AuditRecord& record) {
  std::string members;
  AppendAuditMembers(record, members);
  return members;
}

AuditRecord FullRecord(const std::vector<std::string>& policies) {
  return {.type = AuditRecordType::kResponse,
          .time = WallTime{std::chrono::nanoseconds{1'767'225'600'000'000'042}},
          .request_id = "6f0c8d6a",
          .operation = "update",
          .path = "prod/encrypt/app",
          .name_space = "team",
          .environment = "prod",
          .key = "app",
          .key_version = 3,
          .accessor = "acc",
          .display_name = "root",
          .policies = policies,
          .remote_address = "127.0.0.1",
          .remote_port = 4711,
          .items = 2,
          .failed_items = 1,
          .status = 200,
          .error = "one failed"};
}

// Frozen: readers of the log depend on every byte.
TEST(AuditRecord, HasThisForm) {
  const std::vector<std::string> policies = {"default", "root"};
  EXPECT_EQ(MembersOf(FullRecord(policies)),
            R"("time":"2026-01-01T00:00:00.000000042Z","type":"response",)"
            R"("auth":{"accessor":"acc","display_name":"root","policies":["default","root"]},)"
            R"("request":{"id":"6f0c8d6a","operation":"update","environment":"prod",)"
            R"("path":"prod/encrypt/app","namespace":"team","remote_address":"127.0.0.1",)"
            R"("remote_port":4711},"key":{"name":"app","version":3},)"
            R"("response":{"status":200,"items":2,"failed_items":1},"error":"one failed")");
}

TEST(AuditRecord, LeavesOutWhatIsNotThere) {
  EXPECT_EQ(MembersOf({.type = AuditRecordType::kRequest, .time = {}, .path = "sys/health"}),
            R"("time":"1970-01-01T00:00:00.000000000Z","type":"request",)"
            R"("request":{"path":"sys/health"})");
}

TEST(AuditRecord, AppendsBehindWhatIsThere) {
  std::string out = "before ";
  AppendAuditMembers({.time = {}, .path = "p"}, out);
  EXPECT_TRUE(out.starts_with("before \"time\":"));
}

TEST(AuditRecord, SpellsTheTimeAcrossSecondsAndBeforeTheEpoch) {
  const auto time_of = [](std::int64_t nanoseconds) {
    std::string out;
    AppendAuditHeading(WallTime{std::chrono::nanoseconds{nanoseconds}}, "t", out);
    return out;
  };
  EXPECT_EQ(time_of(999'999'999), R"("time":"1970-01-01T00:00:00.999999999Z","type":"t")");
  EXPECT_EQ(time_of(1'000'000'000), R"("time":"1970-01-01T00:00:01.000000000Z","type":"t")");
  EXPECT_EQ(time_of(-1), R"("time":"1969-12-31T23:59:59.999999999Z","type":"t")");
  EXPECT_EQ(time_of(4'102'444'800'000'000'000),
            R"("time":"2100-01-01T00:00:00.000000000Z","type":"t")");
}

// The allow-list itself: a new member needs a decision here.
TEST(AuditRecord, L13_HasNoPlaceForPayloadsTokensOrHeaders) {
  const std::vector<std::string> policies = {"root"};
  const Json record = Json::parse("{" + MembersOf(FullRecord(policies)) + "}");
  const auto names = [](const Json& object) {
    std::vector<std::string> all;
    for (const auto& [name, value] : object.items()) {
      all.push_back(name);
    }
    return all;
  };
  EXPECT_THAT(names(record),
              ElementsAre("auth", "error", "key", "request", "response", "time", "type"));
  EXPECT_THAT(names(record["auth"]), ElementsAre("accessor", "display_name", "policies"));
  EXPECT_THAT(names(record["request"]), ElementsAre("environment", "id", "namespace", "operation",
                                                    "path", "remote_address", "remote_port"));
  EXPECT_THAT(names(record["key"]), ElementsAre("name", "version"));
  EXPECT_THAT(names(record["response"]), ElementsAre("failed_items", "items", "status"));
}

TEST(JsonText, L12_EscapesWhateverMovesACursorOrEndsALine) {
  EXPECT_EQ(Quoted("a\r\nb"), R"("a\u000d\u000ab")");
  EXPECT_EQ(Quoted("\x1B[31m"), R"("\u001b[31m")");
  EXPECT_EQ(Quoted(std::string_view("\0\x7F", 2)), R"("\u0000\u007f")");
  EXPECT_EQ(Quoted("\xC2\x9B"
                   "2J"),
            R"("\u009b2J")");
  EXPECT_EQ(Quoted("\xE2\x80\xA8\xE2\x80\xA9"), R"("\u2028\u2029")");
  EXPECT_EQ(Quoted("\xE2\x80\xAE\xE2\x81\xA6\xEF\xBB\xBF"), R"("\u202e\u2066\ufeff")");
  EXPECT_EQ(Quoted(R"("},{"a\)"), R"("\"},{\"a\\")");
}

TEST(JsonText, L12_KeepsOrdinaryTextOfEveryScript) {
  EXPECT_EQ(Quoted("Schl\xC3\xBCssel \xE9\x8D\xB5 \xF0\x9F\x94\x91"),
            "\"Schl\xC3\xBCssel \xE9\x8D\xB5 \xF0\x9F\x94\x91\"");
}

TEST(JsonText, L12_ReplacesInvalidUtf8) {
  EXPECT_EQ(Quoted("a\xFF"
                   "b"),
            R"("a\ufffdb")");
  EXPECT_EQ(Quoted("\xC0\xAF"), R"("\ufffd\ufffd")");                      // overlong "/"
  EXPECT_EQ(Quoted("\xE0\x80\x80"), R"("\ufffd\ufffd\ufffd")");            // overlong NUL
  EXPECT_EQ(Quoted("\xED\xA0\x80"), R"("\ufffd\ufffd\ufffd")");            // surrogate
  EXPECT_EQ(Quoted("\xF4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")");  // above U+10FFFF
  EXPECT_EQ(Quoted("\xE9\x8D"), R"("\ufffd\ufffd")");                      // cut short
}

TEST(JsonText, L12_EveryByteAndPairIsOneValidLine) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text = {static_cast<char>(first), static_cast<char>(second)};
      const std::string quoted = Quoted(text);
      ASSERT_TRUE(Json::accept(quoted)) << first << " " << second;
      ASSERT_EQ(quoted.find_first_of("\r\n\x1B"), std::string::npos);
    }
  }
}

TEST(JsonText, L12_CutsLongTextBetweenCharacters) {
  EXPECT_EQ(Quoted("abcdef", 6), R"("abcdef")");
  EXPECT_EQ(Quoted("abcdefg", 6), R"("abcdef...")");
  EXPECT_EQ(Quoted("abcde\xC3\xBC", 6), R"("abcde...")");
  EXPECT_EQ(Quoted(std::string(20, '\xBF'), 6).size(), 3 * 6U + 5U);
}

TEST(AuditRecord, L12_IsBoundedWhateverTheFieldsHold) {
  const std::string hostile(std::size_t{1} << 20U, '\x01');
  const std::vector<std::string> policies(1000, hostile.substr(0, 1024));
  AuditRecord record = FullRecord(policies);
  record.request_id = record.operation = record.path = record.name_space = hostile;
  record.environment = record.key = record.accessor = record.display_name = hostile;
  record.remote_address = record.error = hostile;
  const std::string members = MembersOf(record);
  EXPECT_LE(members.size(), kMaxAuditMembersBytes);
  EXPECT_TRUE(Json::accept("{" + members + "}"));
  EXPECT_THAT(members, EndsWith("...\""));
}

TEST(AuditRecord, L12_CannotBeForgedThroughAName) {
  AuditRecord record{.time = {}, .path = "p\"},\"type\":\"checkpoint\",\"x\":{\""};
  record.display_name = "root\",\"policies\":[\"root\"]";
  const Json parsed = Json::parse("{" + MembersOf(record) + "}");
  EXPECT_EQ(parsed["type"], "response");
  EXPECT_EQ(parsed["request"]["path"], record.path);
  EXPECT_FALSE(parsed["auth"].contains("policies"));
}

}  // namespace
}  // namespace kms::testing
