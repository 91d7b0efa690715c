// SPDX-License-Identifier: Apache-2.0
// Reads backups, whoever wrote them: only what is there and sound becomes a key.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "kms/base/base64.h"
#include "kms/crypto/key_import.h"
#include "kms/crypto/key_numbers.h"
#include "kms/keys/backup_json.h"
#include "kms/keys/key_backup.h"

namespace kms {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostVersions = 10'000;  // they are restored by one commit
constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::size_t kEd25519SeedBytes = 32;
constexpr std::size_t kEd25519Bytes = 64;  // seed || public key
constexpr std::size_t kRsaPrimes = 2;

Error Unreadable(const std::string& what) {
  return InvalidArgument("the backup cannot be restored: " + what);
}

// ---- members: absent and null are the same -----------------------------------------------------

const Json* Find(const Json& object, const char* name) {
  if (!object.is_object()) {
    return nullptr;
  }
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<bool> Boolean(const Json& object, const char* name) {
  const Json* value = Find(object, name);
  if (value == nullptr) {
    return false;
  }
  return value->is_boolean() ? Result<bool>(value->get<bool>())
                             : Unreadable(std::string(name) + " is not a boolean");
}

Result<std::int64_t> Integer(const Json& object, const char* name) {
  const Json* value = Find(object, name);
  if (value == nullptr) {
    return std::int64_t{0};
  }
  // Nanoseconds may be long enough to have been quoted.
  if (value->is_string() && value->get_ref<const std::string&>().size() < 20) {
    std::int64_t number = 0;
    const std::string& text = value->get_ref<const std::string&>();
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code == std::errc() && end == text.data() + text.size()) {
      return number;
    }
  }
  return value->is_number_integer() ? Result<std::int64_t>(value->get<std::int64_t>())
                                    : Unreadable(std::string(name) + " is not an integer");
}

Result<KeyVersionNumber> Version(const Json& object, const char* name) {
  const std::int64_t number = KMS_TRY(Integer(object, name));
  if (number < 0 || number > std::int64_t{UINT32_MAX} - 2) {
    return Unreadable(std::string(name) + " is not a version");
  }
  return static_cast<KeyVersionNumber>(number);
}

Result<std::string_view> Text(const Json& object, const char* name) {
  const Json* value = Find(object, name);
  if (value == nullptr) {
    return std::string_view();
  }
  return value->is_string() ? Result<std::string_view>(value->get_ref<const std::string&>())
                            : Unreadable(std::string(name) + " is not a string");
}

// Digits of a number, which was short or long; empty when absent.
Result<std::string> Digits(const Json& object, const char* name) {
  const Json* value = Find(object, name);
  if (value == nullptr) {
    return std::string();
  }
  if (value->is_string()) {
    return value->get<std::string>();
  }
  return value->is_number_unsigned() ? Result<std::string>(value->dump())
                                     : Unreadable(std::string(name) + " is not a positive integer");
}

Result<SecretBytes> DecodeSecret(std::string_view base64) {
  SecretBytes room = KMS_TRY(SecretBytes::OfSize(Base64DecodedBound(base64.size())));
  const auto size = Base64DecodeInto(base64, room.MutableView());
  if (!size.has_value()) {
    return Unreadable("a key is not base64");
  }
  return SecretBytes::CopyOf(room.View().first(*size));
}

Result<SecretBytes> Secret(const Json& object, const char* name) {
  const std::string_view base64 = KMS_TRY(Text(object, name));
  return base64.empty() ? SecretBytes() : DecodeSecret(base64);
}

// ---- one version -------------------------------------------------------------------------------

Result<AsymmetricKey> EcPair(AsymmetricAlgorithm algorithm, const Json& entry) {
  const std::string x = KMS_TRY(Digits(entry, "ec_x"));
  const std::string y = KMS_TRY(Digits(entry, "ec_y"));
  const std::string d = KMS_TRY(Digits(entry, "ec_d"));
  if (x.empty() || y.empty()) {  // imported by its public half
    return ImportPublicKey(algorithm, KMS_TRY(Text(entry, "public_key")));
  }
  return KeyOfNumbers(algorithm, EcKeyDigits{.x = x,
                                             .y = y,
                                             .d = d.empty() ? std::nullopt
                                                            : std::optional<std::string_view>(d)});
}

Result<AsymmetricKey> RsaPair(AsymmetricAlgorithm algorithm, const Json& entry) {
  const Json* rsa = Find(entry, "rsa_key");
  const bool has_private = rsa != nullptr;
  if (!has_private) {
    rsa = Find(entry, "rsa_public_key");
  }
  if (rsa == nullptr) {
    return Unreadable("a version has no RSA key");
  }
  const std::string n = KMS_TRY(Digits(*rsa, "N"));
  const std::string e = KMS_TRY(Digits(*rsa, "E"));
  if (!has_private) {
    return KeyOfNumbers(algorithm, RsaKeyDigits{.n = n, .e = e, .d = {}, .p = {}, .q = {}});
  }
  const Json* primes = Find(*rsa, "Primes");
  if (primes == nullptr || !primes->is_array() || primes->size() != kRsaPrimes) {
    return Unreadable("an RSA key does not have two primes");
  }
  const Json factors = {{"p", (*primes)[0]}, {"q", (*primes)[1]}};
  const std::string d = KMS_TRY(Digits(*rsa, "D"));
  const std::string p = KMS_TRY(Digits(factors, "p"));
  const std::string q = KMS_TRY(Digits(factors, "q"));
  return KeyOfNumbers(algorithm, RsaKeyDigits{.n = n, .e = e, .d = d, .p = p, .q = q});
}

// SubjectPublicKeyInfo of the 32 bytes (RFC 8410, 4).
Result<AsymmetricKey> Ed25519PublicHalf(ByteView public_key) {
  Bytes spki = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
  spki.insert(spki.end(), public_key.begin(), public_key.end());
  return ImportPublicKeyDer(AsymmetricAlgorithm::kEd25519, spki);
}

Result<AsymmetricKey> Ed25519Pair(const Json& entry) {
  const SecretBytes key = KMS_TRY(Secret(entry, "key"));
  if (key.empty()) {
    const std::string_view base64 = KMS_TRY(Text(entry, "public_key"));
    const SecretBytes public_key = KMS_TRY(DecodeSecret(base64));
    return Ed25519PublicHalf(public_key.View());
  }
  if (key.size() != kEd25519Bytes) {
    return Unreadable("an Ed25519 key does not have 64 bytes");
  }
  const AsymmetricKey pair =
      KMS_TRY(AsymmetricKey::FromEd25519Seed(key.View().first(kEd25519SeedBytes)));
  const Bytes public_key = KMS_TRY(pair.Ed25519PublicKey());
  if (!EqualInConstantTime(public_key, key.View().last(kEd25519SeedBytes))) {
    return Unreadable("the halves of an Ed25519 key do not fit");
  }
  return pair;
}

Result<KeyVersion> AsymmetricVersion(const KeyTypeTraits& traits, const Json& entry) {
  if (traits.family == KeyFamily::kEd25519) {
    return KeyVersion::FromAsymmetricKey(0, {}, KMS_TRY(Ed25519Pair(entry)));
  }
  const AsymmetricKey pair =
      KMS_TRY(traits.family == KeyFamily::kEcdsa ? EcPair(traits.asymmetric, entry)
                                                 : RsaPair(traits.asymmetric, entry));
  return KeyVersion::FromAsymmetricKey(0, {}, pair);
}

Result<KeyVersion> RawVersion(const KeyTypeTraits& traits, const KeyPolicy& policy,
                              const Json& entry) {
  const std::size_t size = traits.family == KeyFamily::kHmac ? policy.key_size : traits.key_bytes;
  const SecretBytes raw = KMS_TRY(Secret(entry, "key"));
  SecretBytes key = KMS_TRY(
      ImportSymmetricKey(traits.name, {.min_bytes = size, .max_bytes = size}, raw.View()));
  return KeyVersion::FromRawKey(traits.type, 0, {}, std::move(key));
}

Result<WallTime> CreationTime(const Json& entry) {
  const std::string_view text = KMS_TRY(Text(entry, "time"));
  if (const std::optional<WallTime> time = ParseRfc3339(text); time.has_value()) {
    return *time;
  }
  return WallTime(std::chrono::seconds(KMS_TRY(Integer(entry, "creation_time"))));
}

Result<std::vector<Bytes>> Certificates(const Json& entry) {
  std::vector<Bytes> chain;
  const Json* certificates = Find(entry, "certificate_chain");
  if (certificates == nullptr || !certificates->is_array()) {
    return chain;
  }
  for (const Json& certificate : *certificates) {
    const Json named = {{"certificate", certificate}};
    const std::string_view base64 = KMS_TRY(Text(named, "certificate"));
    Result<Bytes> der = Base64Decode(base64);
    if (!der.has_value()) {
      return Unreadable("a certificate is not base64");
    }
    chain.push_back(std::move(*der));
  }
  return chain;
}

// Versions 1 and 2 of convergent encryption repeat nonces: nobody may encrypt by them again.
Status CheckConvergence(const KeyPolicy& policy, const Json& entry) {
  const std::int64_t convergent = KMS_TRY(Integer(entry, "convergent_version"));
  if (policy.convergent_encryption && convergent != 0 && convergent < 3) {
    return Unreadable("refusing to support decryption with old convergent encryption key: version " +
                      std::to_string(convergent));
  }
  return Ok();
}

Result<KeyVersion> DecodeVersion(const KeyPolicy& policy, KeyVersionNumber number,
                                 const Json& entry) {
  KMS_TRY(CheckConvergence(policy, entry));
  const KeyTypeTraits& traits = TraitsOf(policy.type);
  KeyVersion version = KMS_TRY(traits.is_asymmetric() ? AsymmetricVersion(traits, entry)
                                                      : RawVersion(traits, policy, entry));
  version.number = number;
  version.created = KMS_TRY(CreationTime(entry));
  SecretBytes hmac_key = KMS_TRY(Secret(entry, "hmac_key"));
  // Keys older than HMACs have none: they keep the fresh one.
  if (traits.family != KeyFamily::kHmac && !hmac_key.empty()) {
    version.hmac_key =
        KMS_TRY(ImportSymmetricKey("hmac", {kHmacKeyBytes, kHmacKeyBytes}, hmac_key.View()));
  }
  if (traits.is_asymmetric()) {
    version.certificate_chain = KMS_TRY(Certificates(entry));
  }
  return version;
}

// ---- the key -----------------------------------------------------------------------------------

Result<std::optional<TransferStamp>> Stamp(const Json& policy, const char* name) {
  const Json* stamp = Find(policy, name);
  if (stamp == nullptr) {
    return std::optional<TransferStamp>();
  }
  const std::optional<WallTime> time = ParseRfc3339(KMS_TRY(Text(*stamp, "time")));
  if (!time.has_value()) {
    return Unreadable(std::string(name) + " has no time");
  }
  return std::optional(
      TransferStamp{.time = *time, .version = KMS_TRY(Version(*stamp, "version"))});
}

Result<KeyType> TypeOf(const Json& policy) {
  const std::int64_t number = KMS_TRY(Integer(policy, "type"));
  const auto type = number < 0 || number > 255
                        ? std::nullopt
                        : KeyTypeFromNumber(static_cast<std::uint8_t>(number));
  if (!type.has_value()) {
    return Unreadable("key type number " + std::to_string(number) + " is not offered here");
  }
  return *type;
}

Status CheckDerivation(const KeyPolicy& policy, const Json& from) {
  const std::int64_t kdf = KMS_TRY(Integer(from, "kdf"));
  if (policy.derived && kdf != 1) {
    return Unreadable("its derivation function (hmac-sha256-counter) is not offered here; rotate "
                      "and rewrap it where it is, or decrypt its data there");
  }
  return Ok();
}

Status ReadFlags(const Json& from, KeyPolicy& policy) {
  policy.derived = KMS_TRY(Boolean(from, "derived"));
  policy.convergent_encryption = KMS_TRY(Boolean(from, "convergent_encryption"));
  policy.exportable = KMS_TRY(Boolean(from, "exportable"));
  policy.allow_plaintext_backup = KMS_TRY(Boolean(from, "allow_plaintext_backup"));
  policy.deletion_allowed = KMS_TRY(Boolean(from, "deletion_allowed"));
  policy.soft_deleted = KMS_TRY(Boolean(from, "soft_deleted"));
  policy.imported = KMS_TRY(Boolean(from, "Imported"));
  const bool may_rotate = KMS_TRY(Boolean(from, "AllowImportedKeyRotation"));
  policy.imported_allow_rotation = policy.imported && may_rotate;
  return Ok();
}

Status ReadVersions(const Json& from, KeyPolicy& policy) {
  policy.min_available_version = KMS_TRY(Version(from, "min_available_version"));
  policy.min_decryption_version = KMS_TRY(Version(from, "min_decryption_version"));
  policy.min_encryption_version = KMS_TRY(Version(from, "min_encryption_version"));
  policy.latest_version = KMS_TRY(Version(from, "latest_version"));
  policy.min_decryption_version = std::max(policy.min_decryption_version, KeyVersionNumber{1});
  return Ok();
}

Result<KeyPolicy> ReadPolicy(const Json& from) {
  KeyPolicy policy;
  policy.name = KMS_TRY(Text(from, "name"));
  policy.type = KMS_TRY(TypeOf(from));
  KMS_TRY(ReadFlags(from, policy));
  KMS_TRY(CheckDerivation(policy, from));
  KMS_TRY(ReadVersions(from, policy));
  policy.auto_rotate_period_seconds =
      KMS_TRY(Integer(from, "auto_rotate_period")) / kNanosecondsPerSecond;
  if (policy.type == KeyType::kHmac) {
    const std::int64_t size = KMS_TRY(Integer(from, "key_size"));
    policy.key_size = size == 0 ? kMinHmacKeySize : static_cast<std::uint32_t>(size);
  }
  policy.backup_info = KMS_TRY(Stamp(from, "backup_info"));
  policy.restore_info = KMS_TRY(Stamp(from, "restore_info"));
  return policy;
}

// The entry of a version: in the working set or in the archive, whose first element is that of
// min_available_version.
const Json* FindEntry(const Json& root, const KeyPolicy& policy, KeyVersionNumber number) {
  const Json* from = Find(root, "policy");
  const Json* keys = Find(*from, "keys");
  if (keys != nullptr) {
    if (const Json* entry = Find(*keys, std::to_string(number).c_str()); entry != nullptr) {
      return entry;
    }
  }
  const Json* archive = Find(root, "archived_keys");
  const Json* archived = archive == nullptr ? nullptr : Find(*archive, "keys");
  const std::size_t place = number - policy.min_available_version;
  const bool there = archived != nullptr && archived->is_array() && place < archived->size();
  return there ? &(*archived)[place] : nullptr;
}

}  // namespace

Result<KeyBackup> DecodeKeyBackup(std::string_view json) {
  const std::string quoted = internal::QuoteLongIntegers(json);
  const Json root = Json::parse(quoted, nullptr, false);
  const Json* from = Find(root, "policy");
  if (from == nullptr || !from->is_object()) {
    return Unreadable("it is not the JSON of a backup");
  }
  KeyBackup backup;
  backup.policy = KMS_TRY(ReadPolicy(*from));
  const KeyPolicy& policy = backup.policy;
  const KeyVersionNumber first = std::max(policy.min_available_version, KeyVersionNumber{1});
  if (policy.latest_version < first || policy.latest_version - first >= kMostVersions) {
    return Unreadable("its versions are impossible");
  }
  for (KeyVersionNumber number = first; number <= policy.latest_version; ++number) {
    const Json* entry = FindEntry(root, policy, number);
    if (entry == nullptr) {
      return Unreadable("version " + std::to_string(number) + " is missing");
    }
    backup.versions.push_back(KMS_TRY(DecodeVersion(policy, number, *entry)));
  }
  return backup;
}

}  // namespace kms
