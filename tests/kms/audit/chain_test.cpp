// SPDX-License-Identifier: Apache-2.0
// The chain's line format, frozen, and its parser.
#include "kms/audit/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/matchers.h"

namespace kms::testing {
namespace {

// Digests by sha256sum(1), not by the code under test.
constexpr std::string_view kFrozen =
    R"({"seq":1,"prev":"0000000000000000000000000000000000000000000000000000000000000000","a":1})"
    "\n"
    R"({"seq":2,"prev":"d244c3d55c9ee8557abcc307f3b0cc81dbea647129afcce380a4fbfc162e21aa","b":2})"
    "\n";

TEST(Chain, HasThisForm) {
  std::string lines;
  AuditHead head = AppendChainedLine({}, "\"a\":1", lines);
  EXPECT_EQ(HexEncode(head.hash),
            "d244c3d55c9ee8557abcc307f3b0cc81dbea647129afcce380a4fbfc162e21aa");
  head = AppendChainedLine(head, "\"b\":2", lines);
  EXPECT_EQ(lines, kFrozen);
  EXPECT_EQ(head.seq, 2U);
}

TEST(Chain, ReadsWhatItWrites) {
  std::string lines;
  const AuditHead head = AppendChainedLine({.seq = 41, .hash = {1, 2, 3}}, "\"a\":1", lines);
  lines.pop_back();
  KMS_ASSERT_OK_AND_ASSIGN(const ChainLink link, ParseChainLink(lines));
  EXPECT_EQ(link.seq, head.seq);
  EXPECT_EQ(link.previous, (Sha256Digest{1, 2, 3}));
}

TEST(Chain, RefusesEveryOtherSpelling) {
  const std::string zeros(64, '0');
  const std::string bad[] = {
      "",
      "{}",
      "{\"seq\":1}",
      "{\"seq\":,\"prev\":\"" + zeros + "\",}",
      "{\"seq\":01,\"prev\":\"" + zeros + "\",\"a\":1}",
      "{\"seq\":-1,\"prev\":\"" + zeros + "\",\"a\":1}",
      "{\"seq\":18446744073709551616,\"prev\":\"" + zeros + "\",\"a\":1}",
      "{ \"seq\":1,\"prev\":\"" + zeros + "\",\"a\":1}",
      "{\"seq\":1,\"prev\":\"" + std::string(64, 'A') + "\",\"a\":1}",
      "{\"seq\":1,\"prev\":\"" + std::string(63, '0') + "\",\"a\":1}",
      "{\"seq\":1,\"prev\":\"" + zeros + "\",\"a\":1",
      "{\"seq\":1,\"prev\":\"" + zeros + "\"}",
  };
  for (const std::string& line : bad) {
    EXPECT_THAT(ParseChainLink(line), HasError(ErrorCode::kCorrupted)) << line;
  }
}

}  // namespace
}  // namespace kms::testing
