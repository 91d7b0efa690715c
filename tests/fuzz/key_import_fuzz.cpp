// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::ImportPrivateKey, kms::ImportPublicKey, kms::ImportPublicKeyDer,
// kms::SplitImportBlob, kms::OpenImportTarget. The first byte chooses the key type. Whatever is
// taken is a key that exports and comes back as the same one; whatever is not is the caller's
// fault.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kms/crypto/import_blob.h"
#include "kms/crypto/key_export.h"
#include "kms/crypto/key_import.h"
#include "tests/fuzz/secret_memory.h"

namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

template <typename T>
void RequireCallersFault(const kms::Result<T>& result) {
  Require(result.has_value() || result.error().code == kms::ErrorCode::kInvalidArgument ||
          result.error().code == kms::ErrorCode::kDecryptionFailed);
}

void CheckPrivate(kms::AsymmetricAlgorithm algorithm, kms::ByteView der) {
  const auto key = kms::ImportPrivateKey(algorithm, der);
  RequireCallersFault(key);
  if (!key.has_value()) {
    return;
  }
  const auto pkcs8 = key->ToPkcs8();
  Require(pkcs8.has_value() && kms::ExportPrivateKey(*key, kms::KeyFormat::kDefault).has_value());
  const auto again = kms::ImportPrivateKey(algorithm, pkcs8->View());
  Require(again.has_value() && again->SamePublicKey(*key));
}

void CheckPublic(kms::AsymmetricAlgorithm algorithm, const kms::Result<kms::AsymmetricKey>& key) {
  RequireCallersFault(key);
  if (!key.has_value()) {
    return;
  }
  Require(!key->has_private());
  const auto pem = kms::ExportPublicKey(*key, kms::KeyFormat::kPem);
  Require(pem.has_value());
  const auto again = kms::ImportPublicKey(algorithm, *pem);
  Require(again.has_value() && again->SamePublicKey(*key));
}

void CheckBlob(kms::ByteView blob) {
  constexpr std::size_t kModulusBytes = 32;  // as short as lets the fuzzer reach the target
  const auto parts = kms::SplitImportBlob(blob, kModulusBytes);
  RequireCallersFault(parts);
  if (!parts.has_value()) {
    return;
  }
  Require(parts->wrapped_ephemeral.size() + parts->wrapped_target.size() == blob.size());
  const auto ephemeral = kms::SecretBytes::CopyOf(parts->wrapped_ephemeral);
  Require(ephemeral.has_value());
  RequireCallersFault(kms::OpenImportTarget(*ephemeral, parts->wrapped_target));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kms::testing::PrepareSecretMemory();
  if (size == 0) {
    return 0;
  }
  constexpr unsigned kAlgorithms = 7;
  const auto algorithm = static_cast<kms::AsymmetricAlgorithm>(data[0] % kAlgorithms);
  const kms::ByteView input(data + 1, size - 1);
  CheckPrivate(algorithm, input);
  CheckPublic(algorithm, kms::ImportPublicKey(algorithm, kms::AsText(input)));
  CheckPublic(algorithm, kms::ImportPublicKeyDer(algorithm, input));
  CheckBlob(input);
  return 0;
}
