// SPDX-License-Identifier: Apache-2.0
#include "tools/kmsctl/key_file.h"

#include <sys/prctl.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "kms/crypto/import_blob.h"
#include "kms/crypto/key_import.h"
#include "kms/crypto/private_key_text.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

constexpr std::size_t kSecretArenaBytes = std::size_t{1} << 18U;

bool IsAsymmetric(std::string_view type) {
  return type.starts_with("rsa-") || type.starts_with("ecdsa-") || type == "ed25519";
}

bool IsSpace(char letter) {
  return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

int HexDigit(char letter) {
  if (letter >= '0' && letter <= '9') {
    return letter - '0';
  }
  const char lower = static_cast<char>(letter | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

Result<SecretBytes> DecodeHex(std::string_view text) {
  SecretBytes room = KMS_TRY(SecretBytes::OfSize(text.size() / 2 + 1));
  std::size_t digits = 0;
  for (const char letter : text) {
    const int digit = HexDigit(letter);
    if (digit < 0 && !IsSpace(letter)) {
      return InvalidArgument("the key is not hexadecimal");
    }
    if (digit >= 0) {
      std::uint8_t& byte = room.MutableView()[digits++ / 2];
      byte = static_cast<std::uint8_t>(byte << 4U | digit);
    }
  }
  if (digits % 2 != 0) {
    return InvalidArgument("the key is not hexadecimal: a digit is missing");
  }
  return SecretBytes::CopyOf(room.View().first(digits / 2));
}

Result<SecretBytes> DecodeRaw(ByteView content, RawText text) {
  if (text == RawText::kBinary) {
    return SecretBytes::CopyOf(content);
  }
  std::string_view letters = AsText(content);
  if (text == RawText::kHex) {
    return DecodeHex(letters);
  }
  while (!letters.empty() && IsSpace(letters.back())) {
    letters.remove_suffix(1);
  }
  SecretBytes room = KMS_TRY(SecretBytes::OfSize(Base64DecodedBound(letters.size())));
  const Result<std::size_t> size = Base64DecodeInto(letters, room.MutableView());
  if (!size) {
    return InvalidArgument("the key is not base64");
  }
  return SecretBytes::CopyOf(room.View().first(*size));
}

Result<SecretBytes> ReadRaw(ByteView content, RawText text, std::string_view type) {
  SecretBytes raw = KMS_TRY(DecodeRaw(content, text));
  if (type == "ed25519") {
    return PrivateKeyInfoFromEd25519(raw.View());
  }
  if (IsAsymmetric(type)) {
    return InvalidArgument("a key of type " + std::string(type) +
                           " has no raw form: use --pem or --der");
  }
  return raw;
}

KeyFileForm Detect(ByteView content, const KeyFile& source, std::string_view type) {
  if (source.form != KeyFileForm::kDetect) {
    return source.form;
  }
  if (AsText(content).find("-----BEGIN ") != std::string_view::npos) {
    return KeyFileForm::kPem;
  }
  const bool is_seed = type == "ed25519" && (content.size() == 32 || content.size() == 64);
  const bool is_raw = !IsAsymmetric(type) || is_seed || source.text != RawText::kBinary;
  return is_raw ? KeyFileForm::kRaw : KeyFileForm::kDer;
}

}  // namespace

Status PrepareForKeys() {
  // No debugger of the same user looks at a key, and none stands in a core file.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) {
    return FailedPrecondition("the memory of this process cannot be protected");
  }
  return InitializeSecretMemory(kSecretArenaBytes);
}

Result<SecretBytes> ReadKeyFile(const KeyFile& source, std::string_view type) {
  const PlaintextBuffer content = KMS_TRY(ReadInput({std::nullopt, source.file}));
  return ReadKeyMaterial(content.View(), source, type);
}

Result<SecretBytes> ReadKeyMaterial(ByteView content, const KeyFile& source,
                                    std::string_view type) {
  const KeyFileForm form = Detect(content, source, type);
  if (form == KeyFileForm::kRaw) {
    return ReadRaw(content, source.text, type);
  }
  if (!IsAsymmetric(type)) {
    return InvalidArgument("a key of type " + std::string(type) +
                           " is raw bytes: use --raw-file, with --hex or --base64 for text");
  }
  return form == KeyFileForm::kPem ? PrivateKeyInfoFromPem(AsText(content))
                                   : PrivateKeyInfoFromDer(content);
}

Result<std::string> WrapForImport(Session& session, const std::string& environment,
                                  std::string_view hash, const SecretBytes& material) {
  const std::optional<HashAlgorithm> algorithm = FindImportHash(hash);
  if (!algorithm) {
    return InvalidArgument("unknown hash function " + Printable(hash) +
                           ": SHA1, SHA224, SHA256, SHA384 or SHA512");
  }
  const nlohmann::json answer =
      KMS_TRY(session.Call("GET", EnvironmentPath(environment, "wrapping_key")));
  const auto pem = DataOf(answer).find("public_key");
  if (pem == DataOf(answer).end() || !pem->is_string()) {
    return MakeError(ErrorCode::kInternal, "the answer has no wrapping key");
  }
  const Result<AsymmetricKey> key =
      ImportPublicKey(AsymmetricAlgorithm::kRsa4096, pem->get_ref<const std::string&>());
  if (!key) {
    return MakeError(ErrorCode::kInternal, "the server's wrapping key is no sound RSA-4096 key");
  }
  const Bytes blob = KMS_TRY(SealImportBlob(*key, *algorithm, material.View()));
  return Base64Encode(blob);
}

}  // namespace kms::tools
