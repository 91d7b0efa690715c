// SPDX-License-Identifier: Apache-2.0
// Key material on its way into the service: read from a file or a pipe, in any usual form, and
// encrypted to the server's wrapping key before it leaves this process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "tools/kmsctl/session.h"

namespace kms::tools {

enum class KeyFileForm : std::uint8_t {
  kDetect,  // PEM when it looks so, else DER or raw as the type needs
  kRaw,     // the bytes of a symmetric key; the seed of an ed25519 key, or seed and public key
  kPem,     // PKCS #8, PKCS #1 or SEC 1
  kDer,
};
enum class RawText : std::uint8_t { kBinary, kHex, kBase64 };

struct KeyFile {
  std::string file;  // empty or "-": standard input
  KeyFileForm form = KeyFileForm::kDetect;
  RawText text = RawText::kBinary;  // of a raw key
};

// Must be called once before the functions below: keys live in memory of their own.
// Errors: kFailedPrecondition.
Status PrepareForKeys();

// What an import of `type` carries: raw bytes, or PKCS #8. Errors: kInvalidArgument.
Result<SecretBytes> ReadKeyFile(const KeyFile& source, std::string_view type);
Result<SecretBytes> ReadKeyMaterial(ByteView content, const KeyFile& source, std::string_view type);

// The base64 of an import blob for `environment`: `material` under its wrapping key, which is asked
// for. `hash` as the API spells it. Errors: of the call; kInvalidArgument (unknown hash);
// kInternal when the answer holds no RSA-4096 key.
Result<std::string> WrapForImport(Session& session, const std::string& environment,
                                  std::string_view hash, const SecretBytes& material);

}  // namespace kms::tools
