// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/jwt_claims.h"

#include <algorithm>
#include <ranges>
#include <set>

#include "kms/auth/glob.h"
#include "kms/auth/jws.h"
#include "kms/base/base64url.h"
#include "kms/base/bytes.h"

namespace kms {

namespace {

constexpr std::int64_t kLatestUnixSeconds = 253'402'300'799;  // the end of year 9999
constexpr std::size_t kMaxConditionEntries = 64;
constexpr std::size_t kMaxConditionBytes = 1024;
constexpr std::size_t kMaxUserBytes = 512;
constexpr std::size_t kMaxMetadataBytes = 4096;
constexpr std::size_t kMaxTokenIdBytes = 1024;
constexpr std::int64_t kMaxSkewSeconds = 86'400;

bool HasControlCharacter(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Error InvalidClaims(const std::string& why) {
  return MakeError(ErrorCode::kUnauthenticated, "error validating claims: " + why);
}

Error ClaimNotFound(const std::string& name) {
  return MakeError(ErrorCode::kUnauthenticated, "claim \"" + name + "\" not found in token");
}

const JsonValue* FindClaim(const JsonValue& claims, const std::string& name, bool is_pointer) {
  return is_pointer ? claims.Follow(name) : claims.Find(name);
}

const JsonValue* FindClaim(const JsonValue& claims, const std::string& name) {
  return FindClaim(claims, name, name.starts_with('/'));
}

// ---- times -------------------------------------------------------------------------------------

std::int64_t Leeway(std::int64_t seconds, std::int64_t otherwise) {
  return seconds == 0 ? otherwise : std::max<std::int64_t>(seconds, 0);
}

Result<std::optional<std::int64_t>> TimeOf(const JsonValue& claims, std::string_view name) {
  const JsonValue* const value = claims.Find(name);
  if (value == nullptr) {
    return std::optional<std::int64_t>{};
  }
  if (value->kind != JsonValue::Kind::kInteger || value->integer < 0 ||
      value->integer > kLatestUnixSeconds) {
    return InvalidJwt("its " + std::string(name) + " claim is malformed");
  }
  return std::optional(value->integer);
}

struct Times {
  std::optional<std::int64_t> issued, not_before, expires;

  // When its life began, as far as it says; nullopt: not at all.
  [[nodiscard]] std::optional<std::int64_t> Start() const { return std::max(issued, not_before); }
};

Result<Times> ReadTimes(const JsonValue& claims) {
  Times times;
  times.issued = KMS_TRY(TimeOf(claims, "iat"));
  times.not_before = KMS_TRY(TimeOf(claims, "nbf"));
  times.expires = KMS_TRY(TimeOf(claims, "exp"));
  if (!times.Start() && !times.expires) {
    return InvalidJwt("it has no iat, nbf or exp claim");
  }
  return times;
}

std::int64_t EndOf(const Times& times, const JwtConditions& conditions) {
  if (!times.Start()) {
    return *times.expires;
  }
  const std::int64_t leeway = Leeway(conditions.expiration_leeway, kDefaultLeewaySeconds);
  return std::min(times.expires.value_or(*times.Start() + leeway),
                  *times.Start() + kMaxJwtLifeSeconds);
}

// Returns the moment from which the token is good for nothing.
Result<std::int64_t> CheckTimes(const JsonValue& claims, const JwtConditions& conditions,
                                std::int64_t now) {
  const Times times = KMS_TRY(ReadTimes(claims));
  const std::int64_t skew = Leeway(conditions.clock_skew_leeway, kDefaultClockSkewSeconds);
  const std::int64_t end = EndOf(times, conditions);
  const std::int64_t early = Leeway(conditions.not_before_leeway, kDefaultLeewaySeconds);
  const std::int64_t begin = times.not_before.value_or(times.issued.value_or(end - early));
  if (now >= end + skew) {
    return InvalidJwt("it is expired");
  }
  if (now < begin - skew) {
    return InvalidJwt("it is not yet valid");
  }
  if (times.issued && now < *times.issued - skew) {
    return InvalidJwt("it was issued in the future");
  }
  return end + skew;
}

// ---- registered claims -------------------------------------------------------------------------

Result<std::optional<std::string>> TextOf(const JsonValue& claims, std::string_view name) {
  const JsonValue* const value = claims.Find(name);
  if (value == nullptr) {
    return std::optional<std::string>{};
  }
  if (!value->IsString()) {
    return InvalidJwt("its " + std::string(name) + " claim is malformed");
  }
  return std::optional(value->text);
}

Result<std::vector<std::string>> AudiencesOf(const JsonValue& claims) {
  std::vector<std::string> audiences;
  const JsonValue* const value = claims.Find("aud");
  if (value == nullptr) {
    return audiences;
  }
  const Error malformed = InvalidJwt("its aud claim is malformed");
  if (value->IsString()) {
    audiences.push_back(value->text);
  } else if (!value->IsArray() || value->items.empty()) {
    return malformed;
  }
  for (const JsonValue& item : value->items) {
    audiences.push_back(item.text);
    if (!item.IsString()) {
      return malformed;
    }
  }
  if (std::ranges::any_of(audiences, [](const std::string& text) { return text.empty(); })) {
    return malformed;
  }
  return audiences;
}

Status CheckAudience(const JsonValue& claims, const JwtConditions& conditions) {
  const std::vector<std::string> audiences = KMS_TRY(AudiencesOf(claims));
  if (conditions.bound_audiences.empty()) {
    return audiences.empty()
               ? Ok()
               : Status(
                     MakeError(ErrorCode::kUnauthenticated,
                               "audience claim found in JWT but no audiences bound to the role"));
  }
  const bool meant_for_us = std::ranges::any_of(audiences, [&](const std::string& audience) {
    return std::ranges::find(conditions.bound_audiences, audience) !=
           conditions.bound_audiences.end();
  });
  return meant_for_us ? Ok() : Status(InvalidJwt("invalid audience (aud) claim"));
}

// RFC 7800, RFC 8705: a token that says who alone may present it is never taken from somebody else.
Result<bool> CheckConfirmation(const JsonValue& claims, const Sha256Digest* certificate) {
  const JsonValue* const confirmation = claims.Find("cnf");
  if (confirmation == nullptr) {
    return false;
  }
  const std::optional<std::string_view> thumbprint = confirmation->FindString("x5t#S256");
  if (!thumbprint || confirmation->members.size() != 1) {
    return InvalidJwt("it is bound to a key that cannot be checked");
  }
  const Result<Bytes> expected = Base64UrlDecode(*thumbprint);
  if (!expected.has_value() || certificate == nullptr ||
      !EqualInConstantTime(*expected, *certificate)) {
    return InvalidJwt("it is bound to another client certificate");
  }
  return true;
}

// ---- claims of a role --------------------------------------------------------------------------

bool Matches(const JsonValue& expected, const JsonValue& actual, BoundClaimsType type) {
  if (expected.kind != actual.kind) {
    return false;
  }
  return type == BoundClaimsType::kGlob && expected.IsString()
             ? MatchesGlob(expected.text, actual.text)
             : expected.text == actual.text;
}

Status CheckBoundClaim(const JsonValue& claims, const std::string& name,
                       const std::vector<JsonValue>& expected, BoundClaimsType type) {
  const JsonValue* const claim = FindClaim(claims, name);
  if (claim == nullptr) {
    return InvalidClaims("claim \"" + name + "\" is missing");
  }
  const std::span<const JsonValue> actual = claim->IsArray()
                                                ? std::span<const JsonValue>(claim->items)
                                                : std::span<const JsonValue>(claim, 1);
  const bool matches = std::ranges::any_of(actual, [&](const JsonValue& item) {
    return item.IsScalar() && std::ranges::any_of(expected, [&](const JsonValue& value) {
             return Matches(value, item, type);
           });
  });
  return matches ? Ok()
                 : Status(InvalidClaims("claim \"" + name +
                                        "\" does not match any associated bound claim values"));
}

Result<std::string> UserOf(const JsonValue& claims, const JwtConditions& conditions) {
  const JsonValue* const claim =
      FindClaim(claims, conditions.user_claim, conditions.user_claim_is_pointer);
  if (claim == nullptr) {
    return ClaimNotFound(conditions.user_claim);
  }
  if (!claim->IsString() || claim->text.empty() || claim->text.size() > kMaxUserBytes ||
      HasControlCharacter(claim->text)) {
    return MakeError(ErrorCode::kUnauthenticated,
                     "claim \"" + conditions.user_claim + "\" cannot name a user");
  }
  return claim->text;
}

Result<std::string> GroupsOf(const JsonValue& claims, const std::string& name) {
  const JsonValue* const claim = FindClaim(claims, name);
  if (claim == nullptr) {
    return ClaimNotFound(name);
  }
  JsonValue list{.kind = JsonValue::Kind::kArray};
  if (claim->IsString()) {
    list.items.push_back(*claim);
  } else if (claim->IsArray()) {
    list.items = claim->items;
  }
  const bool only_names = std::ranges::all_of(list.items, &JsonValue::IsString);
  std::string text = ToJsonText(list);
  if ((!claim->IsString() && !claim->IsArray()) || !only_names || text.size() > kMaxMetadataBytes) {
    return MakeError(ErrorCode::kUnauthenticated, "claim \"" + name + "\" is no list of groups");
  }
  return text;
}

Status MapClaims(const JsonValue& claims, const JwtConditions& conditions,
                 std::map<std::string, std::string>& metadata) {
  for (const auto& [name, target] : conditions.claim_mappings) {
    const JsonValue* const claim = FindClaim(claims, name);
    if (claim == nullptr) {
      continue;  // a token need not have it
    }
    if (!claim->IsScalar() || claim->text.size() > kMaxMetadataBytes ||
        HasControlCharacter(claim->text)) {
      return MakeError(ErrorCode::kUnauthenticated,
                       "claim \"" + name + "\" cannot become metadata");
    }
    metadata[target] = claim->text;
  }
  if (!conditions.groups_claim.empty()) {
    metadata["groups"] = KMS_TRY(GroupsOf(claims, conditions.groups_claim));
  }
  return Ok();
}

// ---- conditions as an operator writes them -----------------------------------------------------

bool IsGoodName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxConditionBytes && !HasControlCharacter(name);
}

Status CheckMappings(const JwtConditions& conditions) {
  std::set<std::string_view> targets;
  for (const auto& [name, target] : conditions.claim_mappings) {
    if (!IsGoodName(name) || !IsGoodName(target)) {
      return InvalidArgument("invalid claim_mappings");
    }
    if (target == "role" || target == "groups") {
      return InvalidArgument("metadata key \"" + target +
                             "\" is reserved and may not be a mapping destination");
    }
    if (!targets.insert(target).second) {
      return InvalidArgument("multiple keys are mapped to metadata key \"" + target + "\"");
    }
  }
  return Ok();
}

Status CheckBoundClaims(const JwtConditions& conditions) {
  for (const auto& [name, values] : conditions.bound_claims) {
    const bool good = IsGoodName(name) && !values.empty() &&
                      values.size() <= kMaxConditionEntries &&
                      std::ranges::all_of(values, [](const JsonValue& value) {
                        return value.IsScalar() && value.text.size() <= kMaxConditionBytes;
                      });
    if (!good) {
      return InvalidArgument(
          "invalid bound_claims: every claim needs strings, numbers or booleans");
    }
  }
  return Ok();
}

Status CheckLeeways(const JwtConditions& conditions) {
  if (conditions.clock_skew_leeway > kMaxSkewSeconds ||
      conditions.expiration_leeway > kMaxJwtLifeSeconds ||
      conditions.not_before_leeway > kMaxJwtLifeSeconds) {
    return InvalidArgument("invalid leeway: too long");
  }
  return Ok();
}

}  // namespace

Status ValidateConditions(const JwtConditions& conditions) {
  if (!IsGoodName(conditions.user_claim)) {
    return InvalidArgument("a user claim must be defined on the role");
  }
  if (conditions.user_claim_is_pointer && !conditions.user_claim.starts_with('/')) {
    return InvalidArgument("invalid user_claim: a JSON pointer begins with '/'");
  }
  if (conditions.bound_audiences.size() > kMaxConditionEntries ||
      conditions.bound_claims.size() > kMaxConditionEntries ||
      conditions.claim_mappings.size() > kMaxConditionEntries) {
    return InvalidArgument("too many bound_audiences, bound_claims or claim_mappings");
  }
  if (!std::ranges::all_of(conditions.bound_audiences, IsGoodName)) {
    return InvalidArgument("invalid bound_audiences");
  }
  if (!conditions.bound_subject.empty() && !IsGoodName(conditions.bound_subject)) {
    return InvalidArgument("invalid bound_subject");
  }
  if (!conditions.groups_claim.empty() && !IsGoodName(conditions.groups_claim)) {
    return InvalidArgument("invalid groups_claim");
  }
  KMS_TRY(CheckBoundClaims(conditions));
  KMS_TRY(CheckMappings(conditions));
  return CheckLeeways(conditions);
}

Result<JwtSubject> CheckClaims(const JsonValue& claims, const JwtConditions& conditions,
                               const JwtExpectations& expectations) {
  if (!claims.IsObject()) {
    return InvalidJwt("its payload is malformed");
  }
  JwtSubject subject;
  subject.unusable_from_unix_seconds =
      KMS_TRY(CheckTimes(claims, conditions, expectations.now_unix_seconds));
  const std::optional<std::string> issuer = KMS_TRY(TextOf(claims, "iss"));
  if (!expectations.issuer.empty() && issuer != expectations.issuer) {
    return InvalidJwt("invalid issuer (iss) claim");
  }
  subject.issuer = issuer.value_or("");
  const std::optional<std::string> sub = KMS_TRY(TextOf(claims, "sub"));
  if (!conditions.bound_subject.empty() && sub != conditions.bound_subject) {
    return InvalidJwt("invalid subject (sub) claim");
  }
  KMS_TRY(CheckAudience(claims, conditions));
  subject.token_id = KMS_TRY(TextOf(claims, "jti"));
  if (subject.token_id &&
      (subject.token_id->empty() || subject.token_id->size() > kMaxTokenIdBytes)) {
    return InvalidJwt("its jti claim is malformed");
  }
  subject.bound_to_certificate = KMS_TRY(CheckConfirmation(claims, expectations.certificate));
  for (const auto& [name, expected] : conditions.bound_claims) {
    KMS_TRY(CheckBoundClaim(claims, name, expected, conditions.bound_claims_type));
  }
  subject.user = KMS_TRY(UserOf(claims, conditions));
  KMS_TRY(MapClaims(claims, conditions, subject.metadata));
  return subject;
}

}  // namespace kms
