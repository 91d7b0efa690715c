// SPDX-License-Identifier: Apache-2.0
// ApiService: the whole API over fakes, called without sockets.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/handlers/route_table.h"
#include "api/pipeline/pipeline.h"
#include "kms/identity/identity.h"
#include "kms/operations/environments.h"
#include "kms/tasks/scrub.h"
#include "kms/tasks/task_runner.h"
#include "tests/fakes/fake_master_key_device.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_audit_log.h"
#include "tests/fakes/memory_store.h"

namespace kms::testing {

struct ApiAnswer {
  int status = 0;
  std::string body;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> headers;
  std::uint64_t gate_ticket = 0;
  bool holds_secret = false;
};

// One request; `method` and `target` as on the request line.
struct ApiRequest {
  api::HttpMethod method = api::HttpMethod::kPost;
  std::string target;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string remote_address = "127.0.0.1";
  api::PeerCertificatesHandle certificates = nullptr;
};

class ApiService {
 public:
  static constexpr std::string_view kToken = "root-token-for-tests";

  // Environments dev, prod (protected) and transit.
  explicit ApiService(api::PipelineOptions options = {}) {
    EXPECT_TRUE(hsms.Add(std::string(kDefaultHsm), {.owner = nullptr, .master_keys = &device, .resident_keys = &device, .epochs = &device}).has_value());
    environments_ = Require(Environments::Open(store, hsms, clock, EnvironmentsOptions{}));
    identity_ = Require(Identity::Open(environments_->sys()->store(), clock, {.root_token = kToken, .password_cost = {.memory_kib = 64, .passes = 1}}));
    identity_->limit_settings().Attach(limits);
    AddEnvironment("dev", {});
    AddEnvironment("prod", {.is_protected = true});
    AddEnvironment("transit", {});
    tasks_ = Require(TaskRunner::Open(*environments_, clock, TaskRunnerOptions{}));
    tasks_->Start();
    scrub_ = std::make_unique<Scrub>(*environments_, clock, ScrubOptions{});
    pipeline_ = std::make_unique<api::Pipeline>(
        api::RouteTable(),
        api::Services{*environments_, audit, *identity_, limits, clock, std::move(options),
                      tasks_.get(), nullptr, scrub_.get()});
  }

  void AddEnvironment(std::string_view name, EnvironmentSettings settings) {
    const auto created = environments_->Create(*EnvironmentName::Parse(name), {.settings = settings});
    ASSERT_TRUE(created.has_value()) << Describe(created.error());
  }

  // One auth mount of each type, named like it.
  void EnableEveryAuthMethod() {
    for (const char* type : {"approle", "userpass", "jwt", "cert"}) {
      AuthMount mount;
      mount.path = type;
      mount.type = type;
      const auto enabled = identity_->mounts().Enable(mount);
      ASSERT_TRUE(enabled.has_value()) << Describe(enabled.error());
    }
  }

  // Through the pool's lane.
  ApiAnswer Call(const ApiRequest& request) {
    api::HttpResponse response;
    const Held held(request);
    pipeline_->Handle(held.request, response);
    return AnswerOf(response);
  }

  // Through the loop's lane, and the pool's when it defers; `deferred` says which.
  ApiAnswer CallOnLoop(const ApiRequest& request, bool* deferred = nullptr) {
    api::HttpResponse response;
    const Held held(request);
    const bool defer =
        pipeline_->HandleOnLoop(held.request, response) == api::Lane::kDefer;
    if (defer) {
      pipeline_->Handle(held.request, response);
    }
    if (deferred != nullptr) {
      *deferred = defer;
    }
    return AnswerOf(response);
  }

  // With the root token.
  ApiAnswer Post(std::string target, std::string body = "{}") {
    return Call(WithToken({api::HttpMethod::kPost, std::move(target), std::move(body), {}}));
  }
  ApiAnswer Get(std::string target) {
    return Call(WithToken({api::HttpMethod::kGet, std::move(target), "", {}}));
  }
  ApiAnswer List(std::string target) {
    return Call(WithToken({api::HttpMethod::kList, std::move(target), "", {}}));
  }
  ApiAnswer Delete(std::string target) {
    return Call(WithToken({api::HttpMethod::kDelete, std::move(target), "", {}}));
  }

  static ApiRequest WithToken(ApiRequest request, std::string_view token = kToken) {
    request.headers.emplace_back("X-Vault-Token", token);
    return request;
  }
  ApiAnswer CallAs(std::string_view token, ApiRequest request) {
    return Call(WithToken(std::move(request), token));
  }
  // A token with these policies, written from `policy` under the name of the first.
  std::string TokenWith(std::string_view name, std::string_view policy) {
    const auto put = identity_->policies().Put(*IdentityName::Parse(name), policy);
    EXPECT_TRUE(put.has_value()) << (put ? "" : Describe(put.error()));
    TokenGrant grant;
    grant.policies = {std::string(name)};
    const IssuedToken issued = Require(identity_->tokens().Issue(grant));
    return std::string(AsText(issued.token.View()));
  }

  Environments& environments() { return *environments_; }
  Identity& identity() { return *identity_; }
  TaskRunner& tasks() { return *tasks_; }
  // Takes no step by itself.
  Scrub& scrub() { return *scrub_; }
  TokenStore& tokens() { return identity_->tokens(); }
  api::Pipeline& pipeline() { return *pipeline_; }

  MemoryStore store;
  ManualClock clock;
  FakeMasterKeyDevice device{std::make_shared<FakeToken>(), &clock};
  HsmRegistry hsms{clock};
  MemoryAuditLog audit;
  Limits limits;

 private:
  template <typename T>
  static T Require(Result<T> result) {
    if (!result) {
      ADD_FAILURE() << Describe(result.error());
      std::abort();  // nothing in a test makes sense without it
    }
    return std::move(*result);
  }

  // The request as the front hands it over: views of texts that live here.
  struct Held {
    explicit Held(const ApiRequest& from) : target(from.target) {
      request.method = from.method;
      request.target = target;
      const std::size_t mark = target.find('?');
      request.path = std::string_view(target).substr(0, mark);
      if (mark != std::string::npos) {
        request.query = std::string_view(target).substr(mark + 1);
      }
      for (const auto& [name, value] : from.headers) {
        request.headers.push_back({.name = name, .value = value});
      }
      request.body = from.body;
      request.remote_address = from.remote_address;
      request.certificates = from.certificates;
      request.remote_port = 40'000;
    }
    std::string target;
    api::HttpRequest request;
  };

  static ApiAnswer AnswerOf(api::HttpResponse& response) {
    return {.status = response.status,
            .body = std::move(response.body),
            .content_type = std::string(response.content_type),
            .headers = std::move(response.headers),
            .gate_ticket = response.gate_ticket,
            .holds_secret = response.holds_secret};
  }

  std::unique_ptr<Environments> environments_;
  std::unique_ptr<Identity> identity_;
  std::unique_ptr<TaskRunner> tasks_;
  std::unique_ptr<Scrub> scrub_;
  std::unique_ptr<api::Pipeline> pipeline_;
};

// The body without its request id, for exact comparison.
inline std::string WithoutRequestId(std::string body) {
  constexpr std::string_view kBefore = R"({"request_id":")";
  if (body.starts_with(kBefore)) {
    body.replace(kBefore.size(), 36, "ID");
  }
  return body;
}

// The envelope of transit-api 2.6 around `data`, as WithoutRequestId leaves it.
inline std::string Envelope(std::string_view data, std::string_view warnings = "null",
                            std::string_view mount_type = "transit") {
  std::string out = R"({"request_id":"ID","lease_id":"","renewable":false,"lease_duration":0,)";
  out += "\"data\":";
  out += data;
  out += R"(,"wrap_info":null,"warnings":)";
  out += warnings;
  out += R"(,"auth":null,"mount_type":")";
  out += mount_type;
  out += "\"}\n";
  return out;
}

// The body of an error with `text`, which must need no escape but \n, \t and quotes.
inline std::string Errors(std::string_view text) {
  std::string out = R"({"errors":[")";
  for (const char c : text) {
    switch (c) {
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      case '"': out += "\\\""; break;
      default: out += c;
    }
  }
  return out + "\"]}\n";
}

// What stands between `before` and the next '"'.
inline std::string TextAfter(std::string_view body, std::string_view before) {
  const std::size_t at = body.find(before);
  if (at == std::string_view::npos) {
    return {};
  }
  const std::string_view rest = body.substr(at + before.size());
  return std::string(rest.substr(0, rest.find('"')));
}

}  // namespace kms::testing
