// SPDX-License-Identifier: Apache-2.0
// HttplibLane: the way of a deferred request to the handler. See httplib_lane.cpp for what
// cpp-httplib is allowed to do on it.
#pragma once

#include <memory>

#include "api/front/request_handler.h"

namespace kms::api {

// Thread rule: one thread. `handler` must outlive the lane.
class HttplibLane {
 public:
  explicit HttplibLane(RequestHandler& handler);
  ~HttplibLane();
  HttplibLane(const HttplibLane&) = delete;
  HttplibLane& operator=(const HttplibLane&) = delete;

  // Lets the handler answer; the answer is 500 if something below it throws.
  void Run(const HttpRequest& request, HttpResponse& response);

 private:
  class MemoryServer;

  RequestHandler& handler_;
  std::unique_ptr<MemoryServer> server_;
};

}  // namespace kms::api
