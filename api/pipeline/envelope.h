// SPDX-License-Identifier: Apache-2.0
// The bodies every answer is made of (transit-api 2.6, 2.7).
#pragma once

#include <string>
#include <string_view>

#include "api/front/http_message.h"
#include "api/pipeline/reply.h"

namespace kms::api {

// UUID-shaped, 36 characters; unpredictable enough to name a request, not a secret.
class RequestId {
 public:
  RequestId();
  [[nodiscard]] std::string_view text() const { return {text_, sizeof text_}; }

 private:
  char text_[36];
};

// `{"request_id":…,"data":`; the caller appends the data, then the tail.
void AppendEnvelopeHead(std::string_view request_id, std::string& out);
// The rest, newline included, for a plain success without warnings.
void AppendEnvelopeTail(std::string_view mount_type, std::string& out);

struct EnvelopeOptions {
  std::string_view request_id;
  std::string_view mount_type;
  bool hoisted = false;
};
// Fills `response` from a handler's reply and wipes what the reply held, if it is secret.
void WriteReply(Reply& reply, const EnvelopeOptions& options, HttpResponse& response);

// `{"errors":["text"]}`, or `{"errors":[]}` for an empty text.
void WriteErrorBody(int status, std::string_view text, HttpResponse& response);

// "1 error occurred:\n\t* text\n\n", the form some errors have on the wire.
std::string Wrapped(std::string_view text);

}  // namespace kms::api
