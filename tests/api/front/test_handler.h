// SPDX-License-Identifier: Apache-2.0
// A handler and a gate that tests steer.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "api/front/request_handler.h"
#include "kms/base/bytes.h"

namespace kms::testing {

// Paths: /echo answers with method, path and body; /defer/... the same from the pool; /block waits
// for Release in the pool; /gated waits for the gate; /throw and /defer/throw throw; /big answers
// with a megabyte; /secret holds a secret; /pause/short and /pause/long are not read for 1 ms or an
// hour afterwards; /header answers with the value of X-Test; paths that end
// with /certificates answer with how many the client presented and the digest of the leaf.
class TestHandler final : public api::RequestHandler {
 public:
  api::Lane HandleOnLoop(const api::HttpRequest& request, api::HttpResponse& response) override {
    ++on_loop;
    if (request.path.starts_with("/defer") || request.path == "/block") {
      return api::Lane::kDefer;
    }
    Fill(request, response);
    if (request.path == "/gated") {
      response.gate_ticket = ++last_ticket;
    }
    return api::Lane::kAnswered;
  }

  void Handle(const api::HttpRequest& request, api::HttpResponse& response) override {
    ++in_pool;
    if (request.path == "/block") {
      std::unique_lock lock{mutex_};
      released_.wait(lock, [this] { return open_; });
    }
    Fill(request, response);
    if (request.path == "/defer/gated") {
      response.gate_ticket = ++last_ticket;
    }
  }

  void Refuse(int status, std::string_view reason, api::HttpResponse& response) override {
    ++refused;
    if (out_of_memory) {
      throw std::bad_alloc{};
    }
    response.Clear();
    response.status = status;
    response.body =
        reason.empty() ? "{\"errors\":[]}\n" : "{\"errors\":[\"" + std::string{reason} + "\"]}\n";
  }

  void OnLoopTick() override { ++ticks; }

  void Release() {
    const std::lock_guard lock{mutex_};
    open_ = true;
    released_.notify_all();
  }

  std::atomic<int> on_loop{0};
  std::atomic<int> in_pool{0};
  std::atomic<int> refused{0};
  std::atomic<bool> out_of_memory{false};  // refusals find none
  std::atomic<int> ticks{0};
  std::atomic<std::uint64_t> last_ticket{0};

 private:
  static void Fill(const api::HttpRequest& request, api::HttpResponse& response) {
    if (request.path.ends_with("/throw")) {
      throw std::runtime_error("from below");
    }
    if (request.path == "/big") {
      response.body.assign(std::size_t{1} << 20U, 'x');
      return;
    }
    if (request.path == "/empty") {
      response.status = 204;
      return;
    }
    if (request.path.ends_with("/certificates")) {
      response.body = request.certificates == nullptr
                          ? "none"
                          : std::to_string(request.certificates->chain.size()) + " " +
                                HexEncode(request.certificates->leaf_digest);
      return;
    }
    if (request.path == "/header") {
      response.body = request.Header("X-Test").value_or("absent");
      return;
    }
    response.holds_secret = request.path == "/secret";
    if (request.path.ends_with("/pause/short")) {
      response.pause = std::chrono::milliseconds{1};
    } else if (request.path.ends_with("/pause/long")) {
      response.pause = std::chrono::hours{1};
    }
    response.body = std::to_string(static_cast<int>(request.method)) + " " +
                    std::string{request.path} + "?" + std::string{request.query} + " " +
                    std::string{request.body};
  }

  std::mutex mutex_;
  std::condition_variable released_;
  bool open_ = false;
};

class TestGate final : public api::ResponseGate {
 public:
  [[nodiscard]] api::GateState State(std::uint64_t ticket) const override {
    const std::lock_guard lock{mutex_};
    if (failed_.contains(ticket)) {
      return api::GateState::kFailed;
    }
    return ticket <= open_to_ ? api::GateState::kOpen : api::GateState::kPending;
  }
  void EndOfBatch() override { ++batches; }
  void Subscribe(std::function<void()> listener) override { listener_ = std::move(listener); }

  void OpenTo(std::uint64_t ticket) {
    {
      const std::lock_guard lock{mutex_};
      open_to_ = ticket;
    }
    listener_();
  }
  void Fail(std::uint64_t ticket) {
    {
      const std::lock_guard lock{mutex_};
      failed_.insert(ticket);
    }
    listener_();
  }

  std::atomic<int> batches{0};

 private:
  mutable std::mutex mutex_;
  std::uint64_t open_to_ = 0;
  std::set<std::uint64_t> failed_;
  std::function<void()> listener_;
};

}  // namespace kms::testing
