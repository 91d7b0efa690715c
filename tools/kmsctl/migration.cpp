// SPDX-License-Identifier: Apache-2.0
#include "tools/kmsctl/migration.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "kms/base/base64.h"
#include "kms/base/random.h"
#include "kms/keys/key_type.h"
#include "tools/kmsctl/exported_key.h"
#include "tools/kmsctl/json_body.h"
#include "tools/kmsctl/json_member.h"

namespace kms::tools {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kSampleBytes = 32;
// Versions proven of one key: the oldest, the latest and what lies evenly between.
constexpr std::int64_t kMostSamples = 16;

std::string FreshBase64() {
  std::array<std::uint8_t, kSampleBytes> bytes{};
  FillRandom(bytes);
  std::string text;
  AppendBase64(bytes, text);
  return text;
}

// Errors after which the next key fares no better.
bool ConcernsEveryKey(const Error& error) {
  return error.code == ErrorCode::kOutcomeUnknown || error.code == ErrorCode::kUnavailable ||
         error.code == ErrorCode::kUnauthenticated;
}

std::vector<std::int64_t> VersionsToProve(const Json& key) {
  const std::int64_t latest = IntegerOf(key, "latest_version");
  const std::int64_t first = std::max({IntegerOf(key, "min_decryption_version"),
                                       IntegerOf(key, "min_encryption_version"), std::int64_t{1}});
  std::set<std::int64_t> chosen = {first, latest};
  const std::int64_t step = std::max<std::int64_t>(1, (latest - first) / (kMostSamples - 1));
  for (std::int64_t version = first; version < latest; version += step) {
    chosen.insert(version);
  }
  return {chosen.begin(), chosen.end()};
}

void Wipe(std::string& secret) { OPENSSL_cleanse(secret.data(), secret.size()); }

// Strings of an export, before its memory is given back.
void Wipe(Json& export_keys) {
  for (auto& [number, text] : export_keys.items()) {
    if (text.is_string()) {
      Wipe(text.get_ref<std::string&>());
    }
  }
}

}  // namespace

struct Migration::Key {
  std::string name;
  Json object;  // the key object of the source
  KeyTypeTraits traits;

  [[nodiscard]] Json WithContext(Json body) const {
    if (BooleanOf(object, "derived")) {
      body["context"] = "bWlncmF0aW9uIHNhbXBsZQ==";
    }
    return body;
  }
};

Result<Json> Migration::AskSource(std::string_view method, const std::string& rest) {
  return source_.Call(method, source_path_ + rest);
}

Result<std::vector<std::string>> Migration::Names() {
  std::vector<std::string> names = KMS_TRY(source_.List(source_path_ + "/keys"));
  std::erase_if(names, [](const std::string& name) { return name.ends_with('/'); });
  return names;
}

Result<MigratedKey> Migration::Move(const std::string& name, bool dry_run) {
  MigratedKey result{.name = name};
  const auto answer = AskSource("GET", "/keys/" + EncodePathSegment(name));
  if (!answer.has_value()) {
    if (ConcernsEveryKey(answer.error())) {
      return answer.error();
    }
    result.problem = "cannot be read at the source: " + answer.error().public_message;
    return result;
  }
  Key key{.name = name, .object = DataOf(*answer), .traits = {}};
  result.type = TextOf(key.object, "type");
  result.latest_version = IntegerOf(key.object, "latest_version");
  const std::optional<KeyType> type = FindKeyType(result.type);
  if (!type.has_value()) {
    result.problem = "key type " + result.type + " is not offered here";
    return result;
  }
  key.traits = TraitsOf(*type);
  if (const Status moved = dry_run ? Plan(key, result) : Transfer(key, result);
      !moved.has_value()) {
    if (ConcernsEveryKey(moved.error())) {
      return moved.error();
    }
    result.problem = moved.error().public_message;
  }
  return result;
}

// What Transfer would do, as far as the settings tell.
Status Migration::Plan(const Key& key, MigratedKey& result) {
  if (KMS_TRY(IsThere(key.name))) {
    result.how = "there already";
  } else if (!BooleanOf(key.object, "exportable")) {
    result.problem = "not exportable";
  } else {
    result.how = BooleanOf(key.object, "allow_plaintext_backup") ? "backup" : "export";
  }
  return Ok();
}

Result<bool> Migration::IsThere(const std::string& name) {
  const auto answer =
      destination_.Call("GET", destination_path_ + "/keys/" + EncodePathSegment(name));
  if (answer.has_value()) {
    return true;
  }
  return answer.error().code == ErrorCode::kNotFound ? Result<bool>(false) : answer.error();
}

Status Migration::Transfer(const Key& key, MigratedKey& result) {
  if (KMS_TRY(IsThere(key.name))) {
    result.how = "there already";
    return Prove(key, result);
  }
  std::string blob;
  if (BooleanOf(key.object, "exportable") && BooleanOf(key.object, "allow_plaintext_backup")) {
    result.how = "backup";
    blob = KMS_TRY(BackupBlob(key));
  } else if (BooleanOf(key.object, "exportable")) {
    result.how = "export";
    blob = KMS_TRY(ExportBlob(key));
  } else {
    return FailedPrecondition(
        "not exportable: allow it at the source (`exportable`, which cannot be undone), or decrypt "
        "there and encrypt here");
  }
  const Status restored = Restore(key.name, blob);
  Wipe(blob);
  if (!restored.has_value()) {
    result.how.clear();
    return restored;
  }
  return Prove(key, result);
}

Result<std::string> Migration::BackupBlob(const Key& key) {
  Json answer = KMS_TRY(AskSource("GET", "/backup/" + EncodePathSegment(key.name)));
  const auto data = answer.find("data");
  if (data == answer.end() || !data->is_object() || !data->contains("backup") ||
      !(*data)["backup"].is_string()) {
    return FailedPrecondition("the source answered without a backup");
  }
  return std::move((*data)["backup"].get_ref<std::string&>());
}

Result<Json> Migration::Exported(const std::string& kind, const std::string& name) {
  const Json answer =
      KMS_TRY(AskSource("GET", "/export/" + kind + "/" + EncodePathSegment(name)));
  const Json& data = DataOf(answer);
  const auto keys = data.find("keys");
  if (keys == data.end() || !keys->is_object()) {
    return FailedPrecondition("the source answered without exported keys");
  }
  return *keys;
}

Result<std::string> Migration::ExportBlob(const Key& key) {
  Json material = Json::object();
  if (key.traits.family != KeyFamily::kHmac) {
    material = KMS_TRY(
        Exported(key.traits.supports_signing ? "signing-key" : "encryption-key", key.name));
  }
  Json hmac_material = KMS_TRY(Exported("hmac-key", key.name));
  Result<std::string> blob = BlobOfExport(
      {.key = key.object, .material = material, .hmac_material = hmac_material});
  Wipe(material);
  Wipe(hmac_material);
  return blob;
}

Status Migration::Restore(const std::string& name, const std::string& blob) {
  JsonBody body(blob.size() + 64);
  body.BeginObject();
  body.AddText("backup", blob);
  body.EndObject();
  KMS_TRY(destination_.CallRaw("POST",
                               destination_path_ + "/restore/" + EncodePathSegment(name),
                               body.View()));
  return Ok();
}

// ---- proof: the source makes it, the destination opens or verifies it --------------------------

Status Migration::Prove(const Key& key, MigratedKey& result) {
  for (const std::int64_t version : VersionsToProve(key.object)) {
    if (!KMS_TRY(ProveVersion(key, version))) {
      return FailedPrecondition("version " + std::to_string(version) +
                                " here is another key than at the source; delete or rename the one "
                                "here, then run this again");
    }
    ++result.samples;
  }
  return Ok();
}

Result<bool> Migration::ProveVersion(const Key& key, std::int64_t version) {
  if (key.traits.supports_encryption) {
    const bool proven = KMS_TRY(ProveEncryption(key, version));
    return proven ? ProveHmac(key, version) : Result<bool>(false);
  }
  if (key.traits.supports_signing) {
    const bool proven = KMS_TRY(ProveSignature(key, version));
    return proven ? ProveHmac(key, version) : Result<bool>(false);
  }
  return ProveHmac(key, version);
}

// A refusal of the destination means that the keys differ; anything else stays an error.
Result<bool> Migration::Agrees(const Result<Json>& answer, const char* member, const Json& wanted) {
  if (answer.has_value()) {
    const Json& data = DataOf(*answer);
    const auto found = data.find(member);
    return found != data.end() && *found == wanted;
  }
  const ErrorCode code = answer.error().code;
  const bool refused =
      code == ErrorCode::kDecryptionFailed || code == ErrorCode::kFailedPrecondition;
  return refused ? Result<bool>(false) : answer.error();
}

Result<bool> Migration::ProveEncryption(const Key& key, std::int64_t version) {
  const std::string name = EncodePathSegment(key.name);
  const std::string plaintext = FreshBase64();
  const Json made = KMS_TRY(source_.Call(
      "POST", source_path_ + "/encrypt/" + name,
      key.WithContext({{"plaintext", plaintext}, {"key_version", version}})));
  const auto opened = destination_.Call(
      "POST", destination_path_ + "/decrypt/" + name,
      key.WithContext({{"ciphertext", TextOf(DataOf(made), "ciphertext")}}));
  return Agrees(opened, "plaintext", plaintext);
}

Result<bool> Migration::ProveSignature(const Key& key, std::int64_t version) {
  const std::string name = EncodePathSegment(key.name);
  const std::string input = FreshBase64();
  const auto made =
      source_.Call("POST", source_path_ + "/sign/" + name,
                   key.WithContext({{"input", input}, {"key_version", version}}));
  if (!made.has_value() && made.error().public_message.contains("private part")) {
    return true;  // a public half alone signs nowhere
  }
  const Json signature = KMS_TRY(made);
  const auto verified = destination_.Call(
      "POST", destination_path_ + "/verify/" + name,
      key.WithContext({{"input", input}, {"signature", TextOf(DataOf(signature), "signature")}}));
  return Agrees(verified, "valid", true);
}

Result<bool> Migration::ProveHmac(const Key& key, std::int64_t version) {
  const std::string name = EncodePathSegment(key.name);
  const std::string input = FreshBase64();
  const Json made = KMS_TRY(source_.Call("POST", source_path_ + "/hmac/" + name,
                                         {{"input", input}, {"key_version", version}}));
  const auto verified =
      destination_.Call("POST", destination_path_ + "/verify/" + name,
                        {{"input", input}, {"hmac", TextOf(DataOf(made), "hmac")}});
  return Agrees(verified, "valid", true);
}

}  // namespace kms::tools
