// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::SignCertificateRequest, kms::ParseCertificateChain,
// kms::RenderCertificateChain. A request that was signed is a template itself; a chain that was
// taken is taken again from its own rendering; whatever is refused is the caller's fault.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kms/crypto/certificate_chain.h"
#include "kms/crypto/certificate_request.h"
#include "tests/fuzz/secret_memory.h"

namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

const kms::AsymmetricKey& Key() {
  static const kms::AsymmetricKey key = [] {
    kms::testing::PrepareSecretMemory();
    std::array<std::uint8_t, 32> seed{};
    seed.fill(1);  // the corpus has certificates for this key
    return kms::AsymmetricKey::FromEd25519Seed(seed).value();
  }();
  return key;
}

void CheckRequest(std::string_view text) {
  const auto request = kms::SignCertificateRequest(Key(), text);
  if (!request.has_value()) {
    Require(request.error().code == kms::ErrorCode::kInvalidArgument);
    return;
  }
  Require(request->size() > kms::kMaxRequestTemplateBytes ||
          kms::SignCertificateRequest(Key(), *request).has_value());
}

void CheckChain(std::string_view text) {
  const auto chain = kms::ParseCertificateChain(Key(), text);
  if (!chain.has_value()) {
    Require(chain.error().code == kms::ErrorCode::kInvalidArgument);
    return;
  }
  const auto again = kms::ParseCertificateChain(Key(), kms::RenderCertificateChain(*chain));
  Require(again.has_value() && *again == *chain);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = kms::AsText({data, size});
  CheckRequest(text);
  CheckChain(text);
  return 0;
}
