// SPDX-License-Identifier: Apache-2.0
#include "api/service_options.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/service_log.h"

namespace kms::api {

namespace {

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};

Result<HostPort> ParseAddress(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  HostPort address;
  const char* end = text.data() + text.size();
  const char* port = colon == std::string::npos ? end : text.data() + colon + 1;
  const auto [parsed, code] = std::from_chars(port, end, address.port);
  if (colon == 0 || code != std::errc{} || parsed != end) {
    return InvalidArgument("listener.address must be HOST:PORT, not \"" + text + "\"");
  }
  address.host = text.substr(0, colon);
  return address;
}

ClientCertificates ClientCertificatesFrom(const ListenerConfig& listener) {
  if (listener.tls_client_certificates == "request") {
    return ClientCertificates::kRequest;
  }
  return listener.tls_client_certificates == "require" ? ClientCertificates::kRequire
                                                       : ClientCertificates::kNone;
}

}  // namespace

Result<FrontOptions> FrontOptionsFrom(const Config& config) {
  const HostPort address = KMS_TRY(ParseAddress(config.listener.address));
  const LimitsConfig& limits = config.limits;
  FrontOptions options;
  options.address = address.host;
  options.port = address.port;
  options.loops = config.threads.loops;
  options.pool_threads = config.threads.workers;
  options.pool_queue_limit = config.threads.worker_queue;
  options.limits.max_head_bytes = limits.max_head_bytes;
  options.limits.max_headers = limits.max_headers;
  options.limits.max_target_bytes = limits.max_target_bytes;
  options.limits.max_body_bytes = limits.max_body_bytes;
  options.timeouts.head = limits.head_timeout;
  options.timeouts.body = limits.body_timeout;
  options.timeouts.idle = limits.idle_timeout;
  options.timeouts.write = limits.write_timeout;
  options.timeouts.handler = limits.request_timeout;
  options.max_connections = limits.max_connections;
  options.max_connections_per_address = limits.max_connections_per_address;
  options.max_buffered_bytes = limits.max_buffered_bytes;
  options.allow_plain_http = config.listener.allow_plain_http;
  if (!config.listener.tls_certificate.empty()) {
    options.tls = TlsOptions{.certificate_file = config.listener.tls_certificate,
                             .key_file = config.listener.tls_key,
                             .client_ca_file = config.listener.tls_client_ca,
                             .client_certificates = ClientCertificatesFrom(config.listener)};
  }
  return options;
}

Result<std::vector<CidrBlock>> TrustedProxiesFrom(const ListenerConfig& config) {
  std::vector<CidrBlock> proxies;
  std::string_view rest = config.trusted_proxies;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    std::string_view block = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (block.starts_with(' ')) {
      block.remove_prefix(1);
    }
    while (block.ends_with(' ')) {
      block.remove_suffix(1);
    }
    const Result<CidrBlock> parsed = CidrBlock::Parse(block);
    if (!parsed) {
      return InvalidArgument("listener.trusted_proxies must be addresses or CIDR blocks, separated "
                             "by commas, not \"" + std::string(block) + "\"");
    }
    proxies.push_back(*parsed);
  }
  return proxies;
}

PipelineOptions PipelineOptionsFrom(const Config& config) {
  PipelineOptions options;
  options.json.max_depth = config.limits.max_json_depth;
  options.json.max_strings = config.limits.max_json_strings;
  options.json.max_string_bytes = config.limits.max_body_bytes;
  options.max_body_bytes = config.limits.max_body_bytes;
  options.max_batch_items = config.limits.max_batch_items;
  options.report = [](const Error& error, std::string_view path) {
    LogError("answering a request to " + std::string(path), error);
  };
  options.alarm = [](std::string_view what) { LogWarning(std::string(what)); };
  return options;
}

}  // namespace kms::api
