// SPDX-License-Identifier: Apache-2.0
// Builds requests, creates the key, makes sample ciphertexts, checks answers.
#include "tools/bench/request_set.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "kms/base/base64.h"
#include "kms/base/random.h"

namespace kms::tools {

namespace {

constexpr std::array<std::string_view, kBenchVerbs> kVerbNames = {"encrypt", "decrypt", "rewrap",
                                                                  "datakey", "ceiling"};
constexpr std::size_t kSamples = 64;

std::string RandomBase64(std::size_t size) {
  Bytes bytes(size);
  FillRandom(bytes);
  return Base64Encode(bytes);
}

// The ciphertext of an encrypt or rewrap answer, the first one of a batch; empty when missing.
std::string CiphertextOf(std::string_view body) {
  const nlohmann::json answer = nlohmann::json::parse(body, nullptr, false);
  if (!answer.is_object() || !answer.contains("data") || !answer["data"].is_object()) {
    return {};
  }
  const nlohmann::json& data = answer["data"];
  const bool is_batch = data.contains("batch_results") && data["batch_results"].is_array() &&
                        !data["batch_results"].empty();
  const nlohmann::json& result = is_batch ? data["batch_results"][0] : data;
  return result.is_object() && result.contains("ciphertext") && result["ciphertext"].is_string()
             ? result["ciphertext"].get<std::string>()
             : std::string{};
}

}  // namespace

std::string_view BenchVerbName(BenchVerb verb) {
  return kVerbNames[static_cast<std::size_t>(verb)];
}

Result<Mix> ParseMix(std::string_view text) {
  Mix mix{};
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const std::size_t equals = part.find('=');
    const std::string_view digits =
        equals == std::string_view::npos ? "1" : part.substr(equals + 1);
    const auto verb = std::ranges::find(kVerbNames, part.substr(0, equals));
    const auto index = static_cast<std::size_t>(verb - kVerbNames.begin());
    std::uint32_t weight = 0;
    const auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), weight);
    if (index >= mix.size() || failure != std::errc{} || end != digits.data() + digits.size() ||
        weight > 1000000) {
      return InvalidArgument("\"" + std::string(part) +
                             "\" is not VERB=WEIGHT of encrypt, decrypt, rewrap, datakey");
    }
    mix[index] = weight;
  }
  if (std::ranges::all_of(mix, [](std::uint32_t weight) { return weight == 0; })) {
    return InvalidArgument("the mix is empty; write for example encrypt=90,decrypt=10");
  }
  return mix;
}

Result<RequestSet> RequestSet::Prepare(const RequestSetOptions& options,
                                       const PlaintextBuffer& token, SSL_CTX* ssl_context) {
  RequestSet set;
  set.options_ = options;
  set.ssl_context_ = ssl_context;
  set.head_ = HeadOf(options.address, token);
  set.payload_base64_ = RandomBase64(options.payload_bytes);
  if (options.associated_data_bytes != 0) {
    set.associated_data_ =
        ",\"associated_data\":\"" + RandomBase64(options.associated_data_bytes) + "\"";
  }
  HttpConnection connection = KMS_TRY(HttpConnection::Connect(options.address, set.ssl_context_));
  KMS_TRY(set.CreateKey(connection));
  KMS_TRY(set.BuildRequests(connection));
  KMS_TRY(set.LearnCeiling(connection));
  return set;
}

std::string_view RequestSet::Request(BenchVerb verb, std::uint64_t n) const {
  const std::vector<std::string>& requests = requests_[static_cast<std::size_t>(verb)];
  return requests[n % requests.size()];
}

bool RequestSet::HoldsPayload(std::string_view body) const {
  return body.find(payload_base64_) != std::string_view::npos;
}

Status RequestSet::VerifyCiphertext(std::string_view answer_body) const {
  const std::string ciphertext = CiphertextOf(answer_body);
  if (ciphertext.empty()) {
    return Corrupted("an answer holds no ciphertext");
  }
  HttpConnection connection = KMS_TRY(HttpConnection::Connect(options_.address, ssl_context_));
  const std::string request = Post("decrypt/" + options_.key, ItemsBody("ciphertext", ciphertext));
  const std::string body = KMS_TRY(ExchangeOk(connection, request));
  if (!HoldsPayload(body)) {
    return Corrupted("a ciphertext does not decrypt to what was encrypted");
  }
  return Ok();
}

std::string RequestSet::HeadOf(const ServerAddress& address, const PlaintextBuffer& token) {
  const std::string url = address.ToUrl();
  std::string head =
      "Host: " + url.substr(url.find("//") + 2) +
      "\r\nUser-Agent: kms-bench\r\nAccept: application/json\r\nX-Vault-Request: true\r\n";
  if (token.size() != 0) {
    head += "X-Vault-Token: " + std::string(AsText(token.View())) + "\r\n";
  }
  return head;
}

RequestSet RequestSet::WithToken(const PlaintextBuffer& token) const {
  RequestSet other = *this;
  other.head_ = HeadOf(options_.address, token);
  for (std::vector<std::string>& requests : other.requests_) {
    for (std::string& request : requests) {
      request.replace(request.find(head_), head_.size(), other.head_);
    }
  }
  return other;
}

std::string RequestSet::Post(const std::string& path, const std::string& body) const {
  return "POST /v1/" + options_.mount + "/" + path + " HTTP/1.1\r\n" + head_ +
         "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

std::string RequestSet::ItemsBody(std::string_view field, std::string_view value) const {
  const std::string item =
      "{\"" + std::string(field) + "\":\"" + std::string(value) + "\"" + associated_data_ + "}";
  if (options_.batch_items == 1) {
    return item;
  }
  std::string body = "{\"batch_input\":[" + item;
  for (std::size_t i = 1; i < options_.batch_items; ++i) {
    body += "," + item;
  }
  return body + "]}";
}

Result<std::string> RequestSet::ExchangeOk(HttpConnection& connection,
                                           const std::string& request) const {
  KMS_TRY(connection.Exchange(request));
  if (connection.status() != 200) {
    return FailedPrecondition("the server answered HTTP " + std::to_string(connection.status()) +
                              " to " + request.substr(0, request.find(" HTTP/")) + ": " +
                              std::string(connection.body().substr(0, 300)));
  }
  return std::string(connection.body());
}

Status RequestSet::CreateKey(HttpConnection& connection) const {
  // Creating a key that exists changes nothing.
  KMS_TRY(
      ExchangeOk(connection, Post("keys/" + options_.key, "{\"type\":\"" + options_.type + "\"}")));
  return Ok();
}

Status RequestSet::BuildRequests(HttpConnection& connection) {
  const auto of = [this](BenchVerb verb) -> std::vector<std::string>& {
    return requests_[static_cast<std::size_t>(verb)];
  };
  of(BenchVerb::kEncrypt) = {
      Post("encrypt/" + options_.key, ItemsBody("plaintext", payload_base64_))};
  of(BenchVerb::kDataKey) = {Post("datakey/plaintext/" + options_.key, "{}")};
  of(BenchVerb::kCeiling) = {"GET " + options_.ceiling_path + " HTTP/1.1\r\n" + head_ + "\r\n"};
  for (std::size_t i = 0; i < kSamples; ++i) {
    const std::string body =
        KMS_TRY(ExchangeOk(connection, std::string(Request(BenchVerb::kEncrypt, 0))));
    const std::string ciphertext = CiphertextOf(body);
    if (ciphertext.empty()) {
      return FailedPrecondition("the server's encrypt answer holds no ciphertext");
    }
    const std::string items = ItemsBody("ciphertext", ciphertext);
    of(BenchVerb::kDecrypt).push_back(Post("decrypt/" + options_.key, items));
    of(BenchVerb::kRewrap).push_back(Post("rewrap/" + options_.key, items));
  }
  return Ok();
}

Status RequestSet::LearnCeiling(HttpConnection& connection) {
  KMS_TRY(connection.Exchange(Request(BenchVerb::kCeiling, 0)));
  ceiling_status_ = connection.status();
  if (ceiling_status_ >= 500) {
    return FailedPrecondition("the ceiling route " + options_.ceiling_path + " answers HTTP " +
                              std::to_string(ceiling_status_));
  }
  return Ok();
}

}  // namespace kms::tools
