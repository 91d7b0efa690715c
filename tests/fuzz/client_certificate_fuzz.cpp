// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::RevocationList::Parse, kms::ClientCertificate::Parse,
// kms::CertificateTrust::Parse, kms::Satisfies. What was read says the same when it is read
// again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "kms/auth/certificate_constraints.h"
#include "kms/auth/certificate_trust.h"
#include "kms/auth/revocation_list.h"

namespace {

constexpr std::int64_t kNow = 1'767'230'000;

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

kms::RevocationListHandle CheckList(kms::ByteView input) {
  const auto list = kms::RevocationList::Parse(kms::AsText(input));
  if (!list.has_value()) {
    Require(list.error().code == kms::ErrorCode::kInvalidArgument);
    return nullptr;
  }
  const auto again = kms::RevocationList::Parse(kms::ByteView((*list)->der()));
  Require(again.has_value());
  Require((*again)->RevokedSerials(10) == (*list)->RevokedSerials(10));
  Require((*again)->Issuer() == (*list)->Issuer());
  return *list;
}

void CheckTrust(kms::ByteView input) {
  const auto trust = kms::CertificateTrust::Parse(kms::AsText(input));
  if (!trust.has_value()) {
    Require(trust.error().code == kms::ErrorCode::kInvalidArgument);
    return;
  }
  const auto again = kms::CertificateTrust::Parse((*trust)->Pem());
  Require(again.has_value() && (*again)->Pem() == (*trust)->Pem());
}

void CheckClient(kms::ByteView input) {
  const std::vector<kms::Bytes> chain{kms::CopyOf(input), kms::CopyOf(input)};
  const auto client = kms::ClientCertificate::Parse(chain);
  if (!client.has_value()) {
    return;
  }
  const kms::CertificateConstraints constraints{
      .names = {"*a*"},
      .dns_names = {"*.example.com"},
      .required_extensions = {"2.5.29.17:*", "hex:2.5.29.14:*"}};
  static_cast<void>(kms::Satisfies(*client, constraints));
  Require(client->KeyDigestHex().size() == 64);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const kms::ByteView input(data, size);
  CheckTrust(input);
  CheckClient(input);
  const kms::RevocationListHandle list = CheckList(input);
  const std::vector<kms::Bytes> chain{kms::CopyOf(input)};
  const auto client = kms::ClientCertificate::Parse(chain);
  if (client.has_value() && list != nullptr) {
    static_cast<void>(list->Judge(client->leaf(), client->leaf(), kNow));
  }
  return 0;
}
