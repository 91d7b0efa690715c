// SPDX-License-Identifier: Apache-2.0
// A server on a free port with the test handler, and a way to wait for conditions.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "api/front/server.h"
#include "tests/api/front/raw_client.h"
#include "tests/api/front/test_handler.h"
#include "tests/support/matchers.h"

namespace kms::testing {

inline std::string GetRequest(std::string_view target, std::string_view fields = "") {
  return "GET " + std::string{target} + " HTTP/1.1\r\nHost: a\r\n" + std::string{fields} + "\r\n";
}
inline std::string PostRequest(std::string_view target, std::string_view body) {
  return "POST " + std::string{target} +
         " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string{body};
}

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    options.port = 0;
    options.loops = 2;
    options.pool_threads = 2;
  }

  void StartServer() {
    KMS_ASSERT_OK_AND_ASSIGN(server, api::HttpServer::Start(options, handler, gate));
  }
  void TearDown() override { handler.Release(); }

  RawClient Connect() { return RawClient{server->port()}; }
  RawAnswer Ask(std::string_view bytes) { return Connect().Exchange(bytes); }

  // Polls; false after ten seconds.
  template <typename Condition>
  static bool Eventually(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (std::chrono::steady_clock::now() < end) {
      if (condition()) {
        return true;
      }
      std::this_thread::yield();
    }
    return condition();
  }

  api::FrontOptions options;
  TestHandler handler;
  TestGate gate;
  std::unique_ptr<api::HttpServer> server;
};

}  // namespace kms::testing
