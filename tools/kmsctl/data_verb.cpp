// SPDX-License-Identifier: Apache-2.0
// Fields of encrypt, decrypt and rewrap.
#include "tools/kmsctl/data_verb.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "tools/kmsctl/checksums.h"
#include "tools/kmsctl/message_verb.h"

namespace kms::tools {

void AddInput(JsonBody& body, const DataVerb& verb, std::string_view input,
              const DataParameters& parameters) {
  if (verb.input_is_plaintext) {
    body.AddBase64(verb.input_field, AsBytes(input));
  } else {
    body.AddText(verb.input_field, TrimCiphertext(input));
  }
  if (!parameters.associated_data.empty()) {
    body.AddBase64("associated_data", AsBytes(parameters.associated_data));
  }
  if (!parameters.context.empty()) {
    body.AddBase64("context", AsBytes(parameters.context));
  }
  if (parameters.key_version != 0) {
    body.AddNumber("key_version", parameters.key_version);
  }
  if (parameters.checksums) {
    AddChecksums(body, verb, input, parameters);
  }
}

Result<PlaintextBuffer> TakeOutput(nlohmann::json& result, const DataVerb& verb, bool keep_base64) {
  const auto field = result.find(std::string(verb.output_field));
  if (field == result.end() || !field->is_string()) {
    return NoSuchMember(verb.output_field);
  }
  auto& text = field->get_ref<std::string&>();
  PlaintextBuffer output;
  if (!verb.output_is_plaintext || keep_base64) {
    std::ranges::copy(AsBytes(text), output.Reset(text.size()).begin());
  } else {
    const MutableByteView room = output.Reset(Base64DecodedBound(text.size()));
    const Result<std::size_t> size = Base64DecodeInto(text, room);
    if (!size.has_value()) {
      return MakeError(ErrorCode::kInternal, "the answer's plaintext is not base64");
    }
    output.Truncate(*size);
  }
  OPENSSL_cleanse(text.data(), text.size());
  return output;
}

std::string_view TrimCiphertext(std::string_view text) {
  constexpr std::string_view kWhiteSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

}  // namespace kms::tools
