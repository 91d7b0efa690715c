// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/hmac_sha256.h"

#include <gtest/gtest.h>

#include "kms/base/digest.h"
#include "tests/support/matchers.h"
#include "tests/support/vectors.h"

namespace kms {
namespace {

using testing::FromHex;
using testing::HasError;
using testing::IsOk;

std::string Mac(ByteView key, std::initializer_list<ByteView> parts) {
  Result<HmacSha256> mac = HmacSha256::Create(key);
  Sha256Digest digest{};
  EXPECT_THAT(mac->Compute(parts, digest), IsOk());
  return HexEncode(digest);
}

// RFC 4231 section 4: cases 1, 2, 6 and 7.
TEST(HmacSha256, MatchesRfc4231) {
  EXPECT_EQ(Mac(Bytes(20, 0x0b), {AsBytes("Hi There")}),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(Mac(AsBytes("Jefe"), {AsBytes("what do ya want "), {}, AsBytes("for nothing?")}),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(Mac(Bytes(131, 0xaa),
                {AsBytes("Test Using Larger Than Block-Size Key - Hash Key First")}),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(Mac(Bytes(131, 0xaa),
                {AsBytes("This is a test using a larger than block-size key and a larger than "
                         "block-size data. The key needs to be hashed before being used by the "
                         "HMAC algorithm.")}),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

TEST(HmacSha256, EachMessageStartsAgain) {
  KMS_ASSERT_OK_AND_ASSIGN(HmacSha256 mac, HmacSha256::Create(AsBytes("key")));
  Sha256Digest first{};
  Sha256Digest second{};
  ASSERT_THAT(mac.Compute({AsBytes("a")}, first), IsOk());
  ASSERT_THAT(mac.Compute({AsBytes("b")}, second), IsOk());
  EXPECT_NE(first, second);
  ASSERT_THAT(mac.Compute({AsBytes("a")}, second), IsOk());
  EXPECT_EQ(first, second);
}

TEST(HmacSha256, RefusesTheEmptyKeyAndAShortOutput) {
  EXPECT_THAT(HmacSha256::Create({}), HasError(ErrorCode::kInternal));
  KMS_ASSERT_OK_AND_ASSIGN(HmacSha256 mac, HmacSha256::Create(AsBytes("key")));
  Bytes out(31);
  EXPECT_THAT(mac.Compute({AsBytes("a")}, out), HasError(ErrorCode::kInternal));
}

}  // namespace
}  // namespace kms
