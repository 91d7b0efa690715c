// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::ParseStrictJson, kms::ParseJws, kms::ReadJwtClaims, kms::CheckClaims,
// kms::JwtKeySet::ParseJwks, kms::ParseOutboundUrl. The first byte chooses. What is refused is
// refused as a wrong credential or a wrong argument; what is taken says the same when it is written
// and read again; no text is both a token and longer than tokens may be.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kms/auth/json_value.h"
#include "kms/auth/jwt.h"
#include "kms/auth/jwt_claims.h"
#include "kms/auth/jwt_keys.h"
#include "kms/auth/outbound_url.h"
#include "tests/fuzz/secret_memory.h"

namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

template <typename T>
void RequireRefusal(const kms::Result<T>& result) {
  Require(result.has_value() || result.error().code == kms::ErrorCode::kInvalidArgument ||
          result.error().code == kms::ErrorCode::kUnauthenticated);
}

bool HasFraction(const kms::JsonValue& value) {
  if (value.kind == kms::JsonValue::Kind::kFraction) {
    return true;
  }
  for (const kms::JsonValue& item : value.items) {
    if (HasFraction(item)) {
      return true;
    }
  }
  for (const auto& [name, member] : value.members) {
    if (HasFraction(member)) {
      return true;
    }
  }
  return false;
}

void CheckJson(std::string_view text) {
  const auto value = kms::ParseStrictJson(text);
  RequireRefusal(value);
  if (!value.has_value() || HasFraction(*value)) {
    return;
  }
  const std::string written = kms::ToJsonText(*value);
  const auto again = kms::ParseStrictJson(written, {.max_bytes = std::size_t{1} << 20U});
  Require(again.has_value() && kms::ToJsonText(*again) == written);
}

void CheckToken(std::string_view text) {
  const auto jws = kms::ParseJws(text);
  RequireRefusal(jws);
  if (!jws.has_value()) {
    return;
  }
  Require(text.size() <= kms::kMaxJwtBytes && !jws->signature.empty());
  Require(text.starts_with(jws->signing_input));
  RequireRefusal(kms::ReadJwtClaims(*jws));
}

void CheckClaimsOf(std::string_view text) {
  const auto claims = kms::ParseStrictJson(text);
  if (!claims.has_value()) {
    return;
  }
  kms::JwtConditions conditions;
  conditions.user_claim = "sub";
  conditions.bound_audiences = {"kms"};
  conditions.groups_claim = "groups";
  conditions.claim_mappings = {{"/a/b", "ab"}, {"c", "c"}};
  const auto subject = kms::CheckClaims(*claims, conditions, {.now_unix_seconds = 1'767'225'600});
  RequireRefusal(subject);
  if (subject.has_value()) {
    Require(!subject->user.empty() && subject->unusable_from_unix_seconds > 1'767'225'600);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kms::testing::PrepareSecretMemory();
  if (size == 0) {
    return 0;
  }
  const std::string_view text = kms::AsText(kms::ByteView(data + 1, size - 1));
  switch (data[0] % 5) {
    case 0: CheckJson(text); break;
    case 1: CheckToken(text); break;
    case 2: CheckClaimsOf(text); break;
    case 3: RequireRefusal(kms::JwtKeySet::ParseJwks(text)); break;
    default: {
      const auto url = kms::ParseOutboundUrl(text);
      RequireRefusal(url);
      Require(!url.has_value() || url->is_https || url->names_loopback);
    }
  }
  return 0;
}
