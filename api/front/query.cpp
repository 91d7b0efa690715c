// SPDX-License-Identifier: Apache-2.0
// Query parameters: split at '&', then at the first '=', then decode.
#include "api/front/query.h"

#include <utility>

#include "api/front/percent.h"

namespace kms::api {
namespace {

Result<std::string> Decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      decoded.push_back(text[at] == '+' ? ' ' : text[at]);
      continue;
    }
    const int byte = DecodeEscape(text.substr(at));
    if (byte <= 0) {
      return InvalidArgument("malformed percent escape in the parameters");
    }
    decoded.push_back(static_cast<char>(byte));
    at += 2;
  }
  return decoded;
}

}  // namespace

Result<QueryParameters> ParseQuery(std::string_view query) {
  QueryParameters parameters;
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view piece = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    if (piece.empty()) {
      continue;
    }
    if (parameters.size() == kMaxQueryParameters) {
      return InvalidArgument("too many parameters");
    }
    const std::size_t equals = piece.find('=');
    std::string name = KMS_TRY(Decode(piece.substr(0, equals)));
    std::string value;
    if (equals != std::string_view::npos) {
      value = KMS_TRY(Decode(piece.substr(equals + 1)));
    }
    parameters.emplace_back(std::move(name), std::move(value));
  }
  return parameters;
}

std::optional<std::string> QueryParameter(std::string_view query, std::string_view name) {
  if (query.empty()) {
    return std::nullopt;
  }
  Result<QueryParameters> parameters = ParseQuery(query);
  if (!parameters.has_value()) {
    return std::nullopt;
  }
  for (auto& [key, value] : *parameters) {
    if (key == name) {
      return std::move(value);
    }
  }
  return std::nullopt;
}

}  // namespace kms::api
