// SPDX-License-Identifier: Apache-2.0
// RequestSet: every request of a run as finished bytes, and what its answers must say.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "tools/bench/http_connection.h"

namespace kms::tools {

enum class BenchVerb : std::uint8_t { kEncrypt, kDecrypt, kRewrap, kDataKey, kCeiling };
inline constexpr std::size_t kBenchVerbs = 5;
std::string_view BenchVerbName(BenchVerb verb);

// Weights of encrypt, decrypt, rewrap, datakey in this order.
using Mix = std::array<std::uint32_t, 4>;
// Parses "encrypt=90,decrypt=10". Errors: kInvalidArgument.
Result<Mix> ParseMix(std::string_view text);

struct RequestSetOptions {
  ServerAddress address;
  std::string mount = "dev";
  std::string key = "bench";
  std::string type = "aes256-gcm96";
  std::string ceiling_path = "/robots.txt";
  std::size_t payload_bytes = 64;
  std::size_t associated_data_bytes = 0;
  std::size_t batch_items = 1;  // above 1: batch_input
};

// Thread rule: constant after Prepare; any thread may read.
class RequestSet {
 public:
  // Creates the key if it is missing and encrypts the samples that decrypt and rewrap need.
  // `ssl_context` is null for plain HTTP and must outlive the result.
  // Errors: kUnavailable, kFailedPrecondition with the server's answer.
  static Result<RequestSet> Prepare(const RequestSetOptions& options, const PlaintextBuffer& token,
                                    SSL_CTX* ssl_context);

  // The same requests, made by the bearer of another token.
  [[nodiscard]] RequestSet WithToken(const PlaintextBuffer& token) const;

  // The n-th request of a verb; they repeat after a while.
  [[nodiscard]] std::string_view Request(BenchVerb verb, std::uint64_t n) const;
  // 200, but for the ceiling route what it answered when it was asked first: a front that turns
  // strangers away with 404 on its loop only answers, too.
  [[nodiscard]] int ExpectedStatus(BenchVerb verb) const {
    return verb == BenchVerb::kCeiling ? ceiling_status_ : 200;
  }
  // Whether a decrypt answer holds the payload.
  [[nodiscard]] bool HoldsPayload(std::string_view body) const;
  // Decrypts what encrypt or rewrap answered and compares it with the payload.
  // Errors: kCorrupted when it differs.
  Status VerifyCiphertext(std::string_view answer_body) const;

 private:
  RequestSet() = default;
  [[nodiscard]] static std::string HeadOf(const ServerAddress& address,
                                          const PlaintextBuffer& token);
  [[nodiscard]] std::string Post(const std::string& path, const std::string& body) const;
  [[nodiscard]] std::string ItemsBody(std::string_view field, std::string_view value) const;
  Result<std::string> ExchangeOk(HttpConnection& connection, const std::string& request) const;
  Status CreateKey(HttpConnection& connection) const;
  Status BuildRequests(HttpConnection& connection);
  Status LearnCeiling(HttpConnection& connection);

  RequestSetOptions options_;
  SSL_CTX* ssl_context_ = nullptr;
  std::string head_;  // header lines that every request bears
  std::string payload_base64_;
  std::string associated_data_;  // as a JSON member, or empty
  std::array<std::vector<std::string>, kBenchVerbs> requests_;
  int ceiling_status_ = 200;
};

}  // namespace kms::tools
