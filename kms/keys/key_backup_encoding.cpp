// SPDX-License-Identifier: Apache-2.0
// Writes backups: the members and their order are those of the Go structures (transit-api 5.10).
#include <openssl/crypto.h>

#include <chrono>
#include <string_view>

#include "kms/base/base64.h"
#include "kms/crypto/key_export.h"
#include "kms/crypto/key_numbers.h"
#include "kms/keys/key_backup.h"

namespace kms {

namespace {

// About what an RSA-4096 version takes, twice: growing leaves copies behind.
constexpr std::size_t kVersionBytes = 20'000;
constexpr std::string_view kNoTime = "0001-01-01T00:00:00Z";

constexpr int kKdfHkdf = 1;
constexpr int kConvergentVersion = 3;        // of a key version
constexpr int kConvergentPolicyVersion = -1;  // of a key: its versions say

// Appends members to one object. Texts are base64, PEM, times and names: only newlines and quotes
// would need an escape, and there are no quotes.
class Members {
 public:
  explicit Members(std::string& out) : out_(out) { out_ += '{'; }

  std::string& Key(std::string_view name) {
    if (!first_) {
      out_ += ',';
    }
    first_ = false;
    out_ += '"';
    out_ += name;
    out_ += "\":";
    return out_;
  }
  void Raw(std::string_view name, std::string_view json) { Key(name) += json; }
  void Integer(std::string_view name, std::int64_t value) { Raw(name, std::to_string(value)); }
  void Boolean(std::string_view name, bool value) { Raw(name, value ? "true" : "false"); }
  void Text(std::string_view name, std::string_view text) {
    Key(name) += '"';
    for (const char c : text) {
      if (c == '\n') {
        out_ += "\\n";
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }
  void Base64(std::string_view name, ByteView bytes) {
    if (bytes.empty()) {
      Raw(name, "null");
      return;
    }
    Key(name) += '"';
    AppendBase64(bytes, out_);
    out_ += '"';
  }
  // Decimal digits, or null.
  void Number(std::string_view name, const SecretBytes& digits) {
    Raw(name, digits.empty() ? std::string_view("null") : AsText(digits.View()));
  }
  void Close() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

Result<AsymmetricKey> PairOf(AsymmetricAlgorithm algorithm, const KeyVersion& version) {
  return version.material.empty() ? AsymmetricKey::FromPublicKey(algorithm, version.public_key)
                                  : AsymmetricKey::FromPkcs8(algorithm, version.material.View());
}

Status AppendEc(const AsymmetricKey& pair, Members& members) {
  const EcKeyNumbers numbers = KMS_TRY(EcNumbersOf(pair));
  members.Number("ec_x", numbers.x);
  members.Number("ec_y", numbers.y);
  members.Number("ec_d", numbers.d);
  return Ok();
}

void AppendNoEc(Members& members) {
  for (const char* const name : {"ec_x", "ec_y", "ec_d"}) {
    members.Raw(name, "null");
  }
}

void AppendRsaPrivate(const RsaKeyNumbers& numbers, std::string& out) {
  Members rsa(out);
  rsa.Number("N", numbers.n);
  rsa.Number("E", numbers.e);
  rsa.Number("D", numbers.d);
  std::string& primes = rsa.Key("Primes");
  primes += '[';
  primes += AsText(numbers.p.View());
  primes += ',';
  primes += AsText(numbers.q.View());
  primes += ']';
  Members precomputed(rsa.Key("Precomputed"));
  precomputed.Number("Dp", numbers.d_mod_p);
  precomputed.Number("Dq", numbers.d_mod_q);
  precomputed.Number("Qinv", numbers.q_inverse);
  precomputed.Raw("CRTValues", "[]");
  precomputed.Close();
  rsa.Close();
}

Status AppendRsa(const AsymmetricKey& pair, Members& members) {
  const RsaKeyNumbers numbers = KMS_TRY(RsaNumbersOf(pair));
  if (pair.has_private()) {
    AppendRsaPrivate(numbers, members.Key("rsa_key"));
    members.Raw("rsa_public_key", "null");
    return Ok();
  }
  members.Raw("rsa_key", "null");
  Members rsa(members.Key("rsa_public_key"));
  rsa.Number("N", numbers.n);
  rsa.Number("E", numbers.e);
  rsa.Close();
  return Ok();
}

void AppendNoRsa(Members& members) {
  members.Raw("rsa_key", "null");
  members.Raw("rsa_public_key", "null");
}

// The `key` member: raw keys, and of Ed25519 the 64 bytes that Go calls a private key.
Status AppendRawKey(KeyFamily family, const AsymmetricKey* pair, const KeyVersion& version,
                    Members& members) {
  if (family == KeyFamily::kEd25519 && pair->has_private()) {
    const SecretBytes key = KMS_TRY(ExportPrivateKey(*pair, KeyFormat::kRaw));
    members.Text("key", AsText(key.View()));
    return Ok();
  }
  members.Base64("key", pair == nullptr ? version.material.View() : ByteView());
  return Ok();
}

void AppendCertificates(const KeyVersion& version, Members& members) {
  if (version.certificate_chain.empty()) {
    members.Raw("certificate_chain", "null");
    return;
  }
  std::string& out = members.Key("certificate_chain");
  char separator = '[';
  for (const Bytes& certificate : version.certificate_chain) {
    out += separator;
    out += '"';
    AppendBase64(certificate, out);
    out += '"';
    separator = ',';
  }
  out += ']';
}

Status AppendVersion(const KeyPolicy& policy, const KeyVersion& version, std::string& out) {
  const KeyTypeTraits& traits = TraitsOf(policy.type);
  std::optional<AsymmetricKey> pair;
  if (traits.is_asymmetric()) {
    pair = KMS_TRY(PairOf(traits.asymmetric, version));
  }
  Members members(out);
  KMS_TRY(AppendRawKey(traits.family, pair ? &*pair : nullptr, version, members));
  members.Base64("hmac_key", version.hmac_key.View());
  members.Text("time", ToRfc3339(version.created));
  if (traits.family == KeyFamily::kEcdsa) {
    KMS_TRY(AppendEc(*pair, members));
  } else {
    AppendNoEc(members);
  }
  if (traits.family == KeyFamily::kRsa) {
    KMS_TRY(AppendRsa(*pair, members));
  } else {
    AppendNoRsa(members);
  }
  const bool shown = traits.family == KeyFamily::kEcdsa || traits.family == KeyFamily::kEd25519;
  std::string public_key;
  if (shown) {
    public_key = KMS_TRY(PublicKeyText(*pair));
  }
  members.Text("public_key", public_key);
  members.Integer("convergent_version", policy.convergent_encryption ? kConvergentVersion : 0);
  members.Integer("creation_time", ToUnixSeconds(version.created));
  AppendCertificates(version, members);
  members.Close();
  return Ok();
}

// What stands for version 0 in an archive.
void AppendNoVersion(std::string& out) {
  Members members(out);
  members.Raw("key", "null");
  members.Raw("hmac_key", "null");
  members.Text("time", kNoTime);
  AppendNoEc(members);
  AppendNoRsa(members);
  members.Text("public_key", "");
  members.Integer("convergent_version", 0);
  members.Integer("creation_time", 0);
  members.Raw("certificate_chain", "null");
  members.Close();
}

void AppendStamp(std::string_view name, const std::optional<TransferStamp>& stamp,
                 Members& members) {
  if (!stamp) {
    members.Raw(name, "null");
    return;
  }
  Members stamped(members.Key(name));
  stamped.Text("time", ToRfc3339(stamp->time));
  stamped.Integer("version", stamp->version);
  stamped.Close();
}

Status AppendWorkingSet(const KeyPolicy& policy, const std::vector<KeyVersion>& versions,
                        std::string& out) {
  Members keys(out);
  for (const KeyVersion& version : versions) {
    if (version.number >= policy.min_decryption_version) {
      KMS_TRY(AppendVersion(policy, version, keys.Key(std::to_string(version.number))));
    }
  }
  keys.Close();
  return Ok();
}

Status AppendPolicy(const KeyPolicy& policy, const std::vector<KeyVersion>& versions,
                    std::string& out) {
  Members members(out);
  members.Text("name", policy.name);
  if (policy.key_size != 0) {
    members.Integer("key_size", policy.key_size);
  }
  KMS_TRY(AppendWorkingSet(policy, versions, members.Key("keys")));
  members.Boolean("derived", policy.derived);
  members.Integer("kdf", policy.derived ? kKdfHkdf : 0);
  members.Boolean("convergent_encryption", policy.convergent_encryption);
  members.Boolean("exportable", policy.exportable);
  members.Integer("min_decryption_version", policy.min_decryption_version);
  members.Integer("min_encryption_version", policy.min_encryption_version);
  members.Integer("latest_version", policy.latest_version);
  members.Integer("archive_version", policy.latest_version);
  members.Integer("archive_min_version", policy.min_available_version);
  members.Integer("min_available_version", policy.min_available_version);
  members.Boolean("deletion_allowed", policy.deletion_allowed);
  members.Integer("convergent_version",
                  policy.convergent_encryption ? kConvergentPolicyVersion : 0);
  members.Integer("type", static_cast<std::int64_t>(policy.type));
  AppendStamp("backup_info", policy.backup_info, members);
  AppendStamp("restore_info", policy.restore_info, members);
  members.Boolean("allow_plaintext_backup", policy.allow_plaintext_backup);
  members.Text("version_template", "");
  members.Text("storage_prefix", "");
  members.Integer("auto_rotate_period",
                  std::chrono::nanoseconds(std::chrono::seconds(policy.auto_rotate_period_seconds))
                      .count());
  members.Boolean("Imported", policy.imported);
  members.Boolean("AllowImportedKeyRotation", policy.imported_allow_rotation);
  members.Boolean("soft_deleted", policy.soft_deleted);
  members.Close();
  return Ok();
}

Status AppendArchive(const KeyPolicy& policy, const std::vector<KeyVersion>& versions,
                     std::string& out) {
  Members archive(out);
  std::string& keys = archive.Key("keys");
  keys += '[';
  if (policy.min_available_version == 0) {
    AppendNoVersion(keys);
  }
  bool first = policy.min_available_version != 0;
  for (const KeyVersion& version : versions) {
    if (!first) {
      keys += ',';
    }
    first = false;
    KMS_TRY(AppendVersion(policy, version, keys));
  }
  keys += ']';
  archive.Close();
  return Ok();
}

}  // namespace

Result<std::string> EncodeKeyBackup(const KeyPolicy& policy,
                                    const std::vector<KeyVersion>& versions) {
  std::string out;
  out.reserve((versions.size() + 1) * kVersionBytes);
  Members members(out);
  KMS_TRY(AppendPolicy(policy, versions, members.Key("policy")));
  KMS_TRY(AppendArchive(policy, versions, members.Key("archived_keys")));
  members.Close();
  out += '\n';
  return out;
}

Result<std::string> EncodeBackupBlob(const KeyPolicy& policy,
                                     const std::vector<KeyVersion>& versions) {
  std::string json = KMS_TRY(EncodeKeyBackup(policy, versions));
  std::string blob;
  blob.reserve(json.size() / 3 * 4 + 4);
  AppendBase64(AsBytes(json), blob);
  OPENSSL_cleanse(json.data(), json.size());
  return blob;
}

}  // namespace kms
