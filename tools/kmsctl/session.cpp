// SPDX-License-Identifier: Apache-2.0
// Calls of the API: connects on first use, reads the envelope, turns failures into errors.
#include "tools/kmsctl/session.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "tools/kmsctl/api_error.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

Result<nlohmann::json> ParseBody(const HttpAnswer& answer) {
  if (answer.body.size() == 0) {
    return nlohmann::json::object();
  }
  nlohmann::json body = nlohmann::json::parse(AsText(answer.body.View()), nullptr, false);
  if (!body.is_object()) {
    return MakeError(ErrorCode::kInternal,
                     "HTTP " + std::to_string(answer.status) +
                         " without a JSON object: is this the address of a key service?");
  }
  return body;
}

std::string FirstErrorText(const nlohmann::json& body) {
  const auto errors = body.find("errors");
  if (errors == body.end() || !errors->is_array() || errors->empty() ||
      !errors->front().is_string()) {
    return {};
  }
  return errors->front().get<std::string>();
}

// A batch that failed as a whole still carries an answer for each item.
bool HasBatchResults(const nlohmann::json& body) {
  const auto data = body.find("data");
  return data != body.end() && data->is_object() && data->contains("batch_results");
}

void NoteWarnings(const nlohmann::json& body) {
  const auto warnings = body.find("warnings");
  if (warnings == body.end() || !warnings->is_array()) {
    return;
  }
  for (const nlohmann::json& warning : *warnings) {
    if (warning.is_string()) {
      Note("kmsctl: warning: " + Printable(warning.get_ref<const std::string&>()));
    }
  }
}

constexpr int kAccepted = 202;

Error WaitsForApproval(const nlohmann::json& data) {
  return FailedPrecondition("nothing was done yet: this waits for a second person, who runs `kmsctl "
                            "approve " +
                            Cell(data, "request_id") + "` (" + Cell(data, "action") +
                            ", expires " + Cell(data, "expires") + ")");
}

std::string OrVariable(const std::string& option, std::string_view first,
                       std::string_view second) {
  return option.empty() ? FirstOfEnvironment(first, second, "") : option;
}

}  // namespace

const nlohmann::json& DataOf(const nlohmann::json& answer) {
  static const nlohmann::json kNothing = nlohmann::json::object();
  const auto data = answer.find("data");
  return data != answer.end() && data->is_object() ? *data : kNothing;
}

Result<HttpAnswer> Session::Send(std::string_view method, std::string_view path,
                                 std::string_view body) {
  if (!client_.has_value()) {
    HttpClientOptions http;
    http.address = KMS_TRY(ResolveAddress(options.address));
    http.ca_file = ResolveCaFile(options.ca_file);
    http.client_certificate_file =
        OrVariable(options.client_certificate_file, "KMS_CLIENT_CERT", "VAULT_CLIENT_CERT");
    http.client_key_file =
        OrVariable(options.client_key_file, "KMS_CLIENT_KEY", "VAULT_CLIENT_KEY");
    http.timeout = std::chrono::seconds(options.timeout_seconds);
    http.wrap_ttl = options.wrap_ttl;
    PlaintextBuffer token;
    if (!options.anonymous) {
      token = KMS_TRY(ResolveToken(options.token_file, options.token_variable));
    }
    client_.emplace(std::move(http), std::move(token));
  }
  return client_->Send(method, path, body);
}

Result<nlohmann::json> Session::CallRaw(std::string_view method, std::string_view path,
                                        std::string_view body) {
  const HttpAnswer answer = KMS_TRY(Send(method, path, body));
  nlohmann::json parsed = nlohmann::json::object();
  if (Result<nlohmann::json> attempt = ParseBody(answer); attempt.has_value()) {
    parsed = *std::move(attempt);
  } else if (answer.status < 300) {
    return attempt.error();
  }
  if (answer.status >= 300 && !HasBatchResults(parsed)) {
    return ApiError(answer.status, FirstErrorText(parsed));
  }
  NoteWarnings(parsed);
  if (answer.status == kAccepted) {
    waits_for_approval = true;
    return WaitsForApproval(DataOf(parsed));
  }
  return parsed;
}

Result<nlohmann::json> Session::Call(std::string_view method, std::string_view path) {
  return CallRaw(method, path, {});
}

Result<nlohmann::json> Session::Call(std::string_view method, std::string_view path,
                                     const nlohmann::json& body) {
  return CallRaw(method, path, ToJsonLine(body));
}

Result<nlohmann::json> Session::CallForAnyStatus(std::string_view path, int& status) {
  const HttpAnswer answer = KMS_TRY(Send("GET", path, {}));
  status = answer.status;
  return ParseBody(answer);
}

Result<PlaintextBuffer> Session::Download(std::string_view path) {
  HttpAnswer answer = KMS_TRY(Send("GET", path, {}));
  if (answer.status < 300) {
    return std::move(answer.body);
  }
  const Result<nlohmann::json> body = ParseBody(answer);
  return ApiError(answer.status, body.has_value() ? FirstErrorText(*body) : std::string());
}

Result<std::vector<std::string>> Session::List(std::string_view path) {
  const HttpAnswer answer = KMS_TRY(Send("LIST", path, {}));
  const nlohmann::json body = KMS_TRY(ParseBody(answer));
  const std::string text = FirstErrorText(body);
  if (IsEmptyAnswer(answer.status, text)) {
    return std::vector<std::string>{};
  }
  if (answer.status >= 300) {
    return ApiError(answer.status, text);
  }
  NoteWarnings(body);
  std::vector<std::string> names;
  const nlohmann::json& data = DataOf(body);
  const auto keys = data.find("keys");
  if (keys == data.end()) {
    return names;
  }
  for (const nlohmann::json& name : *keys) {
    if (name.is_string()) {
      names.push_back(name.get<std::string>());
    }
  }
  return names;
}

Result<std::string> Session::AddressForDisplay() const {
  const ServerAddress address = KMS_TRY(ResolveAddress(options.address));
  return address.ToUrl();
}

}  // namespace kms::tools
