// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::AuditVerifier, kms::ParseChainLink.
// The verdict does not depend on how the bytes arrive, and an accepted log has the head it claims.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kms/audit/verifier.h"

namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

kms::AuditReport Verify(std::string_view text, std::size_t piece) {
  kms::AuditVerifier verifier(kms::AuditVerifierOptions{.earlier_files_may_be_missing = true});
  verifier.StartFile("fuzz");
  while (!text.empty() && verifier.Feed(text.substr(0, piece))) {
    text.remove_prefix(piece < text.size() ? piece : text.size());
  }
  return verifier.Finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const kms::AuditReport whole = Verify(text, size + 1);
  const kms::AuditReport pieces = Verify(text, 7);
  Require(whole.ok() == pieces.ok());
  Require(whole.head == pieces.head && whole.records == pieces.records);
  Require(!whole.ok() || whole.records == 0 ||
          whole.head.seq - whole.first_seq + 1 == whole.records);
  return 0;
}
