// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::ParseCiphertext, kms::Decrypt, kms::Rewrap. Nothing but what the key
// encrypted opens, and a refusal is never an internal error.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "kms/keys/ciphertext.h"
#include "kms/operations/decrypt.h"
#include "kms/operations/rewrap.h"
#include "tests/fuzz/secret_memory.h"

namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

kms::Key MakeKey() {
  kms::testing::PrepareSecretMemory();
  kms::KeyPolicy policy;
  policy.name = "fuzz";
  policy.incarnation = kms::Uuid::Random();
  policy.min_decryption_version = 2;
  policy.latest_version = 4;
  std::vector<kms::KeyVersion> versions;
  for (kms::KeyVersionNumber number = 2; number <= 4; ++number) {
    versions.push_back(*kms::KeyVersion::Generate(policy.type, number, {}));
  }
  return *kms::Key::Create(std::move(policy), std::move(versions));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const kms::Key key = MakeKey();
  const std::string_view text = kms::AsText(kms::ByteView(data, size));
  const auto parsed = kms::ParseCiphertext(text);
  if (parsed.has_value()) {
    Require(parsed->version != 0 && text.ends_with(parsed->payload));
  }
  kms::PlaintextBuffer plaintext;
  const auto opened = kms::Decrypt(key, {.ciphertext = text, .associated_data = {}}, plaintext);
  Require(!opened.has_value() && opened.error().code != kms::ErrorCode::kInternal);
  Require(plaintext.size() == 0);
  std::string renewed;
  const auto rewrapped = kms::Rewrap(key, {.ciphertext = text, .associated_data = {}}, renewed);
  Require(!rewrapped.has_value() && rewrapped.error().code == opened.error().code);
  Require(renewed.empty());
  return 0;
}
