// SPDX-License-Identifier: Apache-2.0
// HttpRequest and HttpResponse: look-up of a field, reuse of a response.
#include "api/front/http_message.h"

#include <algorithm>

#include "api/front/ascii.h"

namespace kms::api {

std::optional<std::string_view> HttpRequest::Header(std::string_view name) const {
  for (const HeaderField& field : headers) {
    if (field.name.size() == name.size() &&
        std::equal(name.begin(), name.end(), field.name.begin(),
                   [](char a, char b) { return ToLower(a) == ToLower(b); })) {
      return field.value;
    }
  }
  return std::nullopt;
}

void HttpResponse::Clear() {
  status = 200;
  body.clear();
  content_type = "application/json";
  headers.clear();
  close = false;
  pause = {};
  holds_secret = false;
  gate_ticket = 0;
}

}  // namespace kms::api
