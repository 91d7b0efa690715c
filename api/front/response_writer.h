// SPDX-License-Identifier: Apache-2.0
// Renders answers: status line, the headers every answer bears, the handler's own, the body.
#pragma once

#include "api/front/buffer.h"
#include "api/front/http_message.h"

namespace kms::api {

struct ResponseForm {
  bool head_only = false;       // the request was HEAD
  bool close = false;           // say that the connection ends
  bool say_keep_alive = false;  // HTTP/1.0 clients must be told
};

void AppendResponse(const HttpResponse& response, ResponseForm form, Buffer& out);

}  // namespace kms::api
