// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/proof_text.h"

#include <charconv>
#include <string>

namespace kms {

namespace {

constexpr std::string_view kPrefix = "vault:v";

}  // namespace

Result<ProofText> ParseProof(std::string_view text, const ProofFaults& faults) {
  if (!text.starts_with(kPrefix)) {
    return InvalidArgument(std::string(faults.no_prefix));
  }
  text.remove_prefix(kPrefix.size());
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return InvalidArgument(std::string(faults.wrong_fields));
  }
  ProofText parsed{.version = 0, .payload = text.substr(colon + 1)};
  const char* end = text.data() + colon;
  const auto [stop, error] = std::from_chars(text.data(), end, parsed.version);
  const bool leading_zero = colon > 1 && text.front() == '0';
  if (error != std::errc{} || stop != end || leading_zero) {
    return InvalidArgument(std::string(faults.bad_version));
  }
  return parsed;
}

Result<const KeyVersion*> FindProofVersion(const Key& key, KeyVersionNumber version,
                                           const ProofFaults& faults) {
  if (version > key.policy().latest_version) {
    return InvalidArgument(std::string(faults.too_new));
  }
  const KeyVersion* found = key.FindVersion(version);
  if (version < key.policy().min_decryption_version || found == nullptr) {
    return InvalidArgument(std::string(faults.too_old));
  }
  return found;
}

}  // namespace kms
