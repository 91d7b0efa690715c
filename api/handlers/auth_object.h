// SPDX-License-Identifier: Apache-2.0
// How a token is shown: the auth object of an envelope (transit-api 10.1) and TokenInfo (10.2).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "api/pipeline/json_writer.h"
#include "api/pipeline/reply.h"
#include "kms/auth/principal.h"

namespace kms::api {

// {"auth": …} for whoever got or renewed a token. `client_token` is empty when only its accessor
// was named. The reply is wiped after it was sent.
Reply ReplyWithAuth(const Principal& principal, std::string_view client_token,
                    std::int64_t now_unix_seconds);

// {"data": TokenInfo}. `token` is what the caller presented, empty when an accessor named it;
// `uses_left` of a limited one.
Reply ReplyWithTokenInfo(const Principal& principal, std::string_view token, std::int64_t uses_left,
                         std::int64_t now_unix_seconds);

// One array of strings.
template <typename Texts>
void AppendTexts(std::string_view key, const Texts& texts, JsonObject& object, std::string& out) {
  object.Key(key);
  JsonArray array(out);
  for (const auto& text : texts) {
    AppendJsonString(text, array.Next());
  }
  array.Close();
}

// A map of strings; null when it is empty.
void AppendMetadata(std::string_view key, const std::map<std::string, std::string>& metadata,
                    JsonObject& object, std::string& out);

}  // namespace kms::api
