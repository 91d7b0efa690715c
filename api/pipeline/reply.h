// SPDX-License-Identifier: Apache-2.0
// Reply: what a handler answers; the envelope around it is made in one place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kms::api {

struct Reply {
  enum class Kind : std::uint8_t {
    kData,       // `data` in the envelope
    kWrapped,    // `wrap_info` in the envelope; the answer itself stays here
    kNoContent,  // 204
    kAbsent,     // 404 with no text: a read or list of nothing
    kBare,       // `data` is the whole body
    kRefused,    // `data` is the text of an error; for the few that clients expect as a 500
  };

  Kind kind = Kind::kData;
  int status = 200;
  std::string data;  // one JSON object as text; empty: null
  std::string auth;  // the envelope's auth object as text; empty: null
  std::string wrap_info;  // the envelope's wrap_info object as text; empty: null
  std::vector<std::string> warnings;
  bool holds_secret = false;  // wipe after sending
  std::string_view content_type = "application/json";

  static Reply Data(std::string json) {
    Reply reply;
    reply.data = std::move(json);
    return reply;
  }
  static Reply NoContent() {
    Reply reply;
    reply.kind = Kind::kNoContent;
    reply.status = 204;
    return reply;
  }
  static Reply Absent() {
    Reply reply;
    reply.kind = Kind::kAbsent;
    reply.status = 404;
    return reply;
  }
  // The wrapped form of the reference servers (transit-api 2.7).
  static Reply Refused(std::string text) {
    Reply reply;
    reply.kind = Kind::kRefused;
    reply.status = 500;
    reply.data = std::move(text);
    return reply;
  }
  static Reply Bare(std::string json, int status = 200) {
    Reply reply;
    reply.kind = Kind::kBare;
    reply.status = status;
    reply.data = std::move(json);
    return reply;
  }
};

}  // namespace kms::api
