// SPDX-License-Identifier: Apache-2.0
// { "format": "kms-recovery-package/1", "ceremony": uuid, "created": unix seconds,
//   "public_key": base64, "fingerprint": text, "keys": [ { "environment", "environment_id",
//   "version", "threshold", "holders": [text], "record": base64 of SplitKey::Encode } ] }
// Fingerprint and what stands beside "record" are for people and ignored when read.
//
// { "format": "kms-recovery-answer/1", "ceremony": uuid, "shares": [ { "environment_id", "version",
//   "split", "number", "holder", "encrypted": base64 } ] }
#include "kms/keys/recovery_package.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "kms/base/base64.h"

namespace kms {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kPackageFormat = "kms-recovery-package/1";
constexpr std::string_view kAnswerFormat = "kms-recovery-answer/1";

// Reads members of one object; remembers the first that is missing or of another kind.
class Members {
 public:
  Members(const Json& object, std::string_view what) : object_(object), what_(what) {}

  std::string Text(const char* name) {
    const Json* member = Find(name);
    if (member == nullptr || !member->is_string()) {
      return Wrong(name);
    }
    return member->get<std::string>();
  }
  std::int64_t Integer(const char* name, std::int64_t least, std::int64_t most) {
    const Json* member = Find(name);
    if (member == nullptr || !member->is_number_integer() || member->get<std::int64_t>() < least ||
        member->get<std::int64_t>() > most) {
      Wrong(name);
      return least;
    }
    return member->get<std::int64_t>();
  }
  Uuid Id(const char* name) {
    const Result<Uuid> id = Uuid::Parse(Text(name));
    if (!id.has_value()) {
      Wrong(name);
    }
    return id.value_or(Uuid());
  }
  Bytes Base64(const char* name) {
    Result<Bytes> bytes = Base64Decode(Text(name));
    if (!bytes.has_value() || bytes->empty()) {
      Wrong(name);
      return {};
    }
    return *std::move(bytes);
  }
  const Json& Array(const char* name) {
    static const Json kNone = Json::array();
    const Json* member = Find(name);
    if (member == nullptr || !member->is_array()) {
      Wrong(name);
      return kNone;
    }
    return *member;
  }
  [[nodiscard]] Status Outcome() const {
    return wrong_.empty() ? Ok()
                          : Status(InvalidArgument("this is no " + std::string(what_) + ": \"" +
                                                   wrong_ + "\" is missing or wrong"));
  }

 private:
  const Json* Find(const char* name) const {
    const auto found = object_.find(name);
    return object_.is_object() && found != object_.end() ? &*found : nullptr;
  }
  std::string Wrong(const char* name) {
    if (wrong_.empty()) {
      wrong_ = name;
    }
    return {};
  }

  const Json& object_;
  std::string_view what_;
  std::string wrong_;
};

Result<Json> ParseFile(std::string_view text, std::string_view format, std::string_view what) {
  if (text.size() > kMaxRecoveryFileBytes) {
    return InvalidArgument("this is no " + std::string(what) + ": it is too large");
  }
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return InvalidArgument("this is no " + std::string(what) + ": it is no JSON object");
  }
  Members members(json, what);
  const std::string found = members.Text("format");
  KMS_TRY(members.Outcome());
  if (found != format) {
    return InvalidArgument("this is no " + std::string(what) +
                           " that this release reads: its "
                           "format is not " +
                           std::string(format));
  }
  return json;
}

Json JsonOf(const SplitKey& key) {
  Json holders = Json::array();
  for (const EncryptedShare& share : key.shares) {
    holders.push_back(share.holder);
  }
  return {{"environment", key.environment}, {"environment_id", key.environment_id.ToString()},
          {"version", key.version},         {"threshold", key.threshold},
          {"holders", std::move(holders)},  {"record", Base64Encode(key.Encode())}};
}

Json JsonOf(const AnsweredShare& share) {
  return {{"environment_id", share.environment_id.ToString()},
          {"version", share.version},
          {"split", share.split_id.ToString()},
          {"number", share.number},
          {"holder", share.holder},
          {"encrypted", Base64Encode(share.encrypted)}};
}

// Text that no JSON text may hold is replaced, so that writing never fails.
std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string RecoveryPackage::ToJson() const {
  Json list = Json::array();
  for (const SplitKey& key : keys) {
    list.push_back(JsonOf(key));
  }
  return Dump({{"format", kPackageFormat},
               {"ceremony", ceremony.ToString()},
               {"created", created_unix_seconds},
               {"public_key", Base64Encode(public_key)},
               {"fingerprint", HolderKeyFingerprint(public_key)},
               {"keys", std::move(list)}});
}

Result<RecoveryPackage> RecoveryPackage::Parse(std::string_view text) {
  constexpr std::string_view kWhat = "recovery package";
  const Json json = KMS_TRY(ParseFile(text, kPackageFormat, kWhat));
  Members members(json, kWhat);
  RecoveryPackage package;
  package.ceremony = members.Id("ceremony");
  package.created_unix_seconds = members.Integer("created", 0, INT64_MAX);
  package.public_key = members.Base64("public_key");
  for (const Json& each : members.Array("keys")) {
    Members key(each, kWhat);
    const Bytes record = key.Base64("record");
    KMS_TRY(key.Outcome());
    Result<SplitKey> split = SplitKey::Decode(record);
    if (!split.has_value()) {
      return InvalidArgument("this is no " + std::string(kWhat) + ": " +
                             split.error().public_message);
    }
    package.keys.push_back(*std::move(split));
  }
  KMS_TRY(members.Outcome());
  KMS_TRY(CheckHolderPublicKey(package.public_key));
  return package;
}

std::string RecoveryAnswer::ToJson() const {
  Json list = Json::array();
  for (const AnsweredShare& share : shares) {
    list.push_back(JsonOf(share));
  }
  return Dump(
      {{"format", kAnswerFormat}, {"ceremony", ceremony.ToString()}, {"shares", std::move(list)}});
}

Result<RecoveryAnswer> RecoveryAnswer::Parse(std::string_view text) {
  constexpr std::string_view kWhat = "recovery answer";
  const Json json = KMS_TRY(ParseFile(text, kAnswerFormat, kWhat));
  Members members(json, kWhat);
  RecoveryAnswer answer;
  answer.ceremony = members.Id("ceremony");
  for (const Json& each : members.Array("shares")) {
    Members member(each, kWhat);
    AnsweredShare share;
    share.environment_id = member.Id("environment_id");
    share.version = static_cast<std::uint32_t>(member.Integer("version", 1, UINT32_MAX));
    share.split_id = member.Id("split");
    share.number = static_cast<std::uint8_t>(member.Integer("number", 1, 32));
    share.holder = member.Text("holder");
    share.encrypted = member.Base64("encrypted");
    KMS_TRY(member.Outcome());
    answer.shares.push_back(std::move(share));
  }
  KMS_TRY(members.Outcome());
  return answer;
}

std::vector<HeldShare> SharesOf(const RecoveryPackage& package, ByteView spki,
                                const SplitKeyFilter& wanted) {
  std::vector<HeldShare> held;
  for (const SplitKey& key : package.keys) {
    if (wanted && !wanted(key)) {
      continue;
    }
    for (const EncryptedShare& share : key.shares) {
      if (IsEncryptedTo(share.encrypted, spki)) {
        held.push_back({.key = &key, .share = &share});
      }
    }
  }
  return held;
}

Result<RecoveryAnswer> AnswerPackage(const RecoveryPackage& package, const HolderPrivateKey& key,
                                     const SplitKeyFilter& wanted) {
  const std::vector<HeldShare> held = SharesOf(package, key.public_key(), wanted);
  if (held.empty()) {
    return NotFound("no share of this package is encrypted to this key");
  }
  RecoveryAnswer answer{.ceremony = package.ceremony, .shares = {}};
  for (const HeldShare& each : held) {
    const SplitKey& split = *each.key;
    const EncryptedShare& share = *each.share;
    const Result<SecretBytes> value =
        key.Open(share.encrypted, ShareContext(split, share.number, share.holder));
    if (!value.has_value()) {
      return MakeError(value.error().code, "the share of " + split.environment + " version " +
                                               std::to_string(split.version) + ": " +
                                               value.error().public_message +
                                               "; the package is damaged or was changed");
    }
    AnsweredShare answered{.environment_id = split.environment_id,
                           .version = split.version,
                           .split_id = split.split_id,
                           .number = share.number,
                           .holder = share.holder,
                           .encrypted = {}};
    answered.encrypted = KMS_TRY(
        EncryptToHolder(package.public_key, *value,
                        AnswerContext(package.ceremony, split, share.number, share.holder)));
    answer.shares.push_back(std::move(answered));
  }
  return answer;
}

}  // namespace kms
