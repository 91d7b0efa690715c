// SPDX-License-Identifier: Apache-2.0
// JSON escaping, envelopes, the error table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "api/pipeline/envelope.h"
#include "api/pipeline/error_response.h"
#include "api/pipeline/json_writer.h"

namespace kms::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Escaped(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

TEST(AppendJsonString, EscapesWhatJsonDemands) {
  EXPECT_EQ(Escaped("plain"), R"("plain")");
  EXPECT_EQ(Escaped("a\"b\\c\nd\te\rf"), R"("a\"b\\c\nd\te\rf")");
  EXPECT_EQ(Escaped(std::string_view("\0\x1F\x7F", 3)), R"("\u0000\u001f\u007f")");
}

TEST(AppendJsonString, KeepsUtf8AndReplacesWhatIsNot) {
  EXPECT_EQ(Escaped("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x94\x91"), "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x94\x91\"");
  const std::string replaced = "\xEF\xBF\xBD";
  EXPECT_EQ(Escaped("\xFF"), '"' + replaced + '"');
  EXPECT_EQ(Escaped("\xC0\xAF"), '"' + replaced + replaced + '"');          // overlong
  EXPECT_EQ(Escaped("\xED\xA0\x80"), '"' + replaced + replaced + replaced + '"');  // surrogate
  EXPECT_EQ(Escaped("\xE2\x82"), '"' + replaced + replaced + '"');          // cut short
  EXPECT_EQ(Escaped("\xF4\x90\x80\x80"), '"' + replaced + replaced + replaced + replaced + '"');
}

TEST(RequestId, IsShapedAsAUuidAndFresh) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const RequestId id;
    EXPECT_THAT(std::string(id.text()),
                ::testing::MatchesRegex(
                    "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
    EXPECT_TRUE(seen.emplace(id.text()).second);
  }
}

TEST(WriteReply, PutsEveryKeyAndANewline) {
  Reply reply = Reply::Data(R"({"a":1})");
  reply.warnings = {"w\"1", "w2"};
  HttpResponse response;
  WriteReply(reply, {.request_id = "id", .mount_type = "system", .hoisted = true}, response);
  EXPECT_EQ(response.body,
            R"({"request_id":"id","lease_id":"","renewable":false,"lease_duration":0,)"
            R"("data":{"a":1},"wrap_info":null,"warnings":["w\"1","w2"],"auth":null,)"
            R"("mount_type":"system","a":1})"
            "\n");
}

TEST(WriteReply, HoistsNothingOutOfAnEmptyObject) {
  Reply reply = Reply::Data("{}");
  HttpResponse response;
  WriteReply(reply, {.request_id = "id", .mount_type = "system", .hoisted = true}, response);
  EXPECT_THAT(response.body, HasSubstr("\"mount_type\":\"system\"}\n"));
}

TEST(WriteReply, OfNothingIs204WithoutTypeOrBody) {
  Reply reply = Reply::NoContent();
  HttpResponse response;
  WriteReply(reply, {.request_id = "id", .mount_type = "transit"}, response);
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.body, "");
  EXPECT_EQ(response.content_type, "");
}

TEST(ErrorTable, GivesEveryCodeItsStatus) {
  EXPECT_EQ(HttpStatusOf(ErrorCode::kInvalidArgument), 400);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kUnauthenticated), 403);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kPermissionDenied), 403);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kNotFound), 404);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kAlreadyExists), 400);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kFailedPrecondition), 503);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kConflict), 503);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kResourceExhausted), 429);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kDecryptionFailed), 400);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kCorrupted), 500);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kUnavailable), 503);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kOutcomeUnknown), 503);
  EXPECT_EQ(HttpStatusOf(ErrorCode::kInternal), 500);
}

TEST(ErrorTable, A22_NoTextHoldsTheDetail) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    HttpResponse response;
    WriteError(MakeError(static_cast<ErrorCode>(code), "public", "CKR_SECRET /var/lib SELECT"),
               response);
    EXPECT_THAT(response.body, Not(HasSubstr("CKR_SECRET"))) << code;
    EXPECT_THAT(response.body, Not(HasSubstr("/var/lib"))) << code;
  }
}

TEST(ErrorTable, DamageAndDefectsHideEvenThePublicMessage) {
  EXPECT_THAT(PublicText(Corrupted("entry keys/app")), HasSubstr("damaged entry"));
  EXPECT_THAT(PublicText(Corrupted("entry keys/app")), Not(HasSubstr("keys/app")));
  EXPECT_EQ(PublicText(Internal("why")), "1 error occurred:\n\t* internal error\n\n");
}

}  // namespace
}  // namespace kms::api
