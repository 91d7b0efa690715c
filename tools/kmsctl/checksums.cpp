// SPDX-License-Identifier: Apache-2.0
#include "tools/kmsctl/checksums.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "kms/base/base64.h"
#include "kms/crypto/crc32c.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

constexpr std::string_view kAssociatedData = "associated_data_crc32c";

std::string ChecksumName(std::string_view field) { return std::string(field) + "_crc32c"; }

bool SaysVerified(const nlohmann::json& result, const std::string& name) {
  const auto member = result.find("verified_" + name);
  return member != result.end() && member->is_boolean() && member->get<bool>();
}

// Of the plaintext behind the base64, or of the ciphertext as it stands; nullopt for broken base64,
// which whoever takes the result out reports.
std::optional<std::uint32_t> ChecksumOf(std::string_view text, bool is_base64) {
  if (!is_base64) {
    return Crc32c(AsBytes(text));
  }
  PlaintextBuffer plaintext;
  const MutableByteView room = plaintext.Reset(Base64DecodedBound(text.size()));
  const Result<std::size_t> size = Base64DecodeInto(text, room);
  return size.has_value() ? std::optional(Crc32c(room.first(*size))) : std::nullopt;
}

}  // namespace

void AddChecksums(JsonBody& body, const DataVerb& verb, std::string_view input,
                  const DataParameters& parameters) {
  const std::string_view sent = verb.input_is_plaintext ? input : TrimCiphertext(input);
  body.AddNumber(ChecksumName(verb.input_field), Crc32c(AsBytes(sent)));
  if (!parameters.associated_data.empty()) {
    body.AddNumber(kAssociatedData, Crc32c(AsBytes(parameters.associated_data)));
  }
}

Result<ChecksumAnswer> CheckAnswer(const nlohmann::json& result, const DataVerb& verb,
                                   const DataParameters& parameters) {
  const auto output = result.find(std::string(verb.output_field));
  const std::string name = ChecksumName(verb.output_field);
  const auto told = result.find(name);
  if (output == result.end() || !output->is_string() || told == result.end() ||
      !told->is_number_unsigned() || !SaysVerified(result, ChecksumName(verb.input_field)) ||
      (!parameters.associated_data.empty() && !SaysVerified(result, std::string(kAssociatedData)))) {
    return ChecksumAnswer::kUnknownToServer;
  }
  const std::optional<std::uint32_t> arrived =
      ChecksumOf(output->get_ref<const std::string&>(), verb.output_is_plaintext);
  if (arrived && *arrived != told->get<std::uint64_t>()) {
    return Corrupted("what arrived does not match the server's " + name +
                     ": it was damaged on its way and is not used; repeat the command");
  }
  return ChecksumAnswer::kVerified;
}

void NoteUnknownChecksums() {
  Note("kmsctl: this server does not know checksums: what it received and sent is not verified end "
       "to end (--no-checksums asks for none)");
}

}  // namespace kms::tools
