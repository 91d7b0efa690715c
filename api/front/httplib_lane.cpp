// SPDX-License-Identifier: Apache-2.0
// HttplibLane: cpp-httplib's request processing, driven from memory, around our handler.
//
// cpp-httplib 0.11.4 answers 400 to LIST, percent-decodes header values and reads targets loosely,
// so it is told only that a request of some method is here: a head made of constants. Its
// pre-routing handler then calls ours with the request that the front has parsed, and what
// cpp-httplib would send is dropped in favour of our response. So there is one opinion about every
// request. What it contributes is the barrier that turns an exception of any library below the
// handler into 500. LIST and SCAN, which it does not know, meet the same barrier here.
#include "api/front/httplib_lane.h"

#include <httplib.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <string_view>

namespace kms::api {
namespace {

constexpr std::string_view kRead = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
constexpr std::string_view kWrite =
    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";

// Reads a constant head, drops what is written.
class MemoryStream final : public httplib::Stream {
 public:
  explicit MemoryStream(std::string_view head) : head_(head) {}

  bool is_readable() const override { return !head_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, std::size_t size) override {
    const std::size_t bytes = std::min(size, head_.size());
    std::memcpy(to, head_.data(), bytes);
    head_.remove_prefix(bytes);
    return static_cast<ssize_t>(bytes);
  }
  ssize_t write(const char* /*from*/, std::size_t size) override {
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    ip.clear();
    port = 0;
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    ip.clear();
    port = 0;
  }
  socket_t socket() const override { return INVALID_SOCKET; }

 private:
  std::string_view head_;
};

}  // namespace

class HttplibLane::MemoryServer final : public httplib::Server {
 public:
  MemoryServer() {
    set_pre_routing_handler([this](const httplib::Request&, httplib::Response&) {
      started_ = true;
      work_();
      finished_ = true;
      return HandlerResponse::Handled;
    });
  }

  // Runs `work` within the library's processing; false when it threw.
  bool Process(std::string_view head, std::function<void()> work) {
    work_ = std::move(work);
    started_ = false;
    finished_ = false;
    MemoryStream stream{head};
    bool closed = false;
    process_request(stream, /*close_connection=*/true, closed, nullptr);
    if (!started_) {
      work_();  // the library never asked: it has no vote
      finished_ = true;
    }
    return finished_;
  }

 private:
  std::function<void()> work_;
  bool started_ = false;
  bool finished_ = false;
};

HttplibLane::HttplibLane(RequestHandler& handler)
    : handler_(handler), server_(std::make_unique<MemoryServer>()) {}

HttplibLane::~HttplibLane() = default;

void HttplibLane::Run(const HttpRequest& request, HttpResponse& response) {
  const auto work = [&] { handler_.Handle(request, response); };
  bool answered = false;
  try {
    switch (request.method) {
      case HttpMethod::kList:
      case HttpMethod::kScan:
        work();
        answered = true;
        break;
      case HttpMethod::kGet:
      case HttpMethod::kHead:
      case HttpMethod::kOptions:
      case HttpMethod::kDelete: answered = server_->Process(kRead, work); break;
      case HttpMethod::kPost:
      case HttpMethod::kPut:
      case HttpMethod::kPatch: answered = server_->Process(kWrite, work); break;
    }
  } catch (const std::exception&) {
    answered = false;
  }
  if (!answered) {
    response.Clear();
    handler_.Refuse(500, "internal error", response);
  }
}

}  // namespace kms::api
