// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::AsymmetricKey::FromPkcs8, FromPublicKey, ToPkcs8 and PublicKey, and
// kms::VerifySignature. Whatever is read as a key is written back as it was.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/signature.h"
#include "tests/fuzz/secret_memory.h"

namespace {

using kms::AsymmetricAlgorithm;
using kms::AsymmetricKey;
using kms::ByteView;

constexpr std::size_t kAlgorithms = 7;

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

template <typename T>
void RequireNoDefect(const kms::Result<T>& result) {
  Require(result.has_value() || result.error().code != kms::ErrorCode::kInternal);
}

// An inner structure without its public half is the one thing that is written back otherwise.
void ReadPrivate(AsymmetricAlgorithm algorithm, ByteView input) {
  const auto key = AsymmetricKey::FromPkcs8(algorithm, input);
  RequireNoDefect(key);
  if (!key.has_value()) {
    return;
  }
  const auto written = key->ToPkcs8();
  Require(written.has_value() &&
          (std::ranges::equal(written->View(), input) || written->size() != input.size()));
  Require(AsymmetricKey::FromPkcs8(algorithm, written->View()).has_value());
}

void ReadPublic(AsymmetricAlgorithm algorithm, ByteView input, ByteView signature) {
  const auto key = AsymmetricKey::FromPublicKey(algorithm, input);
  RequireNoDefect(key);
  if (!key.has_value()) {
    return;
  }
  const auto written = key->PublicKey();
  Require(written.has_value() && std::ranges::equal(*written, input));
  RequireNoDefect(kms::VerifySignature(*key, {}, {}, signature));
}

// Nobody signs the fuzzer's bytes: whatever it finds is refused by a key it does not have.
void Verify(AsymmetricAlgorithm algorithm, bool jws, ByteView signature) {
  static const auto key = AsymmetricKey::Generate(AsymmetricAlgorithm::kEcdsaP256);
  static const auto other = AsymmetricKey::Generate(AsymmetricAlgorithm::kEd25519);
  Require(key.has_value() && other.has_value());
  kms::SignatureOptions options;
  options.marshaling = jws ? kms::SignatureMarshaling::kJws : kms::SignatureMarshaling::kAsn1;
  const auto verified = kms::VerifySignature(
      algorithm == AsymmetricAlgorithm::kEd25519 ? *other : *key, options, {}, signature);
  RequireNoDefect(verified);
  Require(!verified.has_value() || !*verified);
}

}  // namespace

// The first byte chooses the algorithm, the second splits the rest into a key and a signature.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kms::testing::PrepareSecretMemory();
  if (size < 2) {
    return 0;
  }
  const auto algorithm = static_cast<AsymmetricAlgorithm>(data[0] % kAlgorithms);
  const ByteView rest = ByteView(data, size).subspan(2);
  const std::size_t split = rest.size() - std::min<std::size_t>(data[1], rest.size());
  ReadPrivate(algorithm, rest);
  ReadPublic(algorithm, rest.first(split), rest.subspan(split));
  Verify(algorithm, data[1] % 2 != 0, rest);
  return 0;
}
