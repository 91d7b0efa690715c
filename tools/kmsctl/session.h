// SPDX-License-Identifier: Apache-2.0
// Session: what every command shares: the global options and calls of the API.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"
#include "tools/kmsctl/http_client.h"

namespace kms::tools {

// The "data" of an answer; an empty object when there is none.
const nlohmann::json& DataOf(const nlohmann::json& answer);

struct GlobalOptions {
  std::string address;
  std::string token_file;
  std::string token_variable;  // where the token comes from without a file; empty: the usual two
  bool anonymous = false;      // send no token: logins
  std::string ca_file;
  std::string client_certificate_file;
  std::string client_key_file;
  int timeout_seconds = 30;
  std::string wrap_ttl;  // answers stay at the server, under a token for this long; empty: they do not
  bool json = false;
};

// Thread rule: one thread.
class Session {
 public:
  GlobalOptions options;
  // What the command line asked for; set by the parser, run by main.
  std::function<Status()> command;
  // The server kept a request until a second person approves it: nothing was done yet.
  bool waits_for_approval = false;

  // Sends and returns the answer's JSON object ({} for 204). Warnings go to stderr. A request that
  // waits for approval is an error of its own: see waits_for_approval.
  // Errors: kNotFound, kPermissionDenied, kFailedPrecondition, kUnavailable, … by ApiError;
  // kOutcomeUnknown when no answer came.
  Result<nlohmann::json> Call(std::string_view method, std::string_view path);
  Result<nlohmann::json> Call(std::string_view method, std::string_view path,
                              const nlohmann::json& body);
  // The same with a body that is JSON already; it may hold plaintext, so it is never copied
  // without being wiped.
  Result<nlohmann::json> CallRaw(std::string_view method, std::string_view path,
                                 std::string_view body);
  // As Call, without turning a status into an error: health answers 503 with a body.
  Result<nlohmann::json> CallForAnyStatus(std::string_view path, int& status);
  // The body of an answer that is no JSON. Errors: as Call.
  Result<PlaintextBuffer> Download(std::string_view path);
  // The "keys" of a LIST, empty when there is nothing.
  Result<std::vector<std::string>> List(std::string_view path);

  [[nodiscard]] Result<std::string> AddressForDisplay() const;

 private:
  Result<HttpAnswer> Send(std::string_view method, std::string_view path, std::string_view body);

  std::optional<HttpClient> client_;
};

}  // namespace kms::tools
