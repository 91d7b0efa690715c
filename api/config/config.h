// SPDX-License-Identifier: Apache-2.0
// Config: everything an operator can set, with its defaults. One table (config_fields.cpp) reads,
// validates, documents and prints it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "kms/base/result.h"

namespace kms::api {

// Names where a secret is; never the secret: "file:PATH", "env:NAME", "credential:NAME" (systemd)
// or "fd:NUMBER". Empty: not set.
struct SecretReference {
  std::string text;
  friend bool operator==(const SecretReference&, const SecretReference&) = default;
};

using Milliseconds = std::chrono::milliseconds;
// What "forever" reads as, where a duration may be that.
inline constexpr Milliseconds kForever = Milliseconds::max();

struct ListenerConfig {
  std::string address = "127.0.0.1:8200";
  bool allow_plain_http = false;
  std::string tls_certificate;
  std::string tls_key;
  std::string tls_client_ca;
  std::string trusted_proxies;
  std::string tls_client_certificates = "none";
};

struct StoreConfig {
  std::string path;
};

struct AuditConfig {
  std::string path;
  std::string durability = "write";
};

// One token. The section "hsm" is the one named "default".
struct HsmConfig {
  std::string module;
  std::string module_init;
  std::string token_label;
  std::string token_serial;
  SecretReference pin;
  std::uint64_t sessions = 4;
  std::string mechanism = "auto";
  std::string pass_environment;
  std::string softhsm_config;
  std::string softhsm_state_directory;
  std::string state_directory;
  bool network = false;
  std::uint64_t memory_limit_bytes = std::uint64_t{512} << 20U;  // 0: none
  std::uint64_t max_calls = 16;
  std::uint64_t max_waiting = 64;
  std::uint64_t breaker_failures = 3;
  Milliseconds breaker_hung_after{1000};
  Milliseconds breaker_first_pause{500};
  Milliseconds breaker_longest_pause{5000};
  Milliseconds call_timeout{5000};    // 0 in one of "hsms": that of "hsm"
  Milliseconds start_timeout{20000};  // of every token; set in "hsm" alone
  friend bool operator==(const HsmConfig&, const HsmConfig&) = default;
};

using HsmConfigs = std::map<std::string, HsmConfig>;  // by name

struct LeaseConfig {
  Milliseconds interval{5000};
  Milliseconds grace{60000};
};

struct RotationConfig {
  Milliseconds check_interval{300000};
};

struct ScrubConfig {
  Milliseconds interval{std::chrono::hours{24}};
  std::uint64_t entries_per_second = 200;
};

struct AuthConfig {
  SecretReference root_token;
  Milliseconds default_token_ttl{std::chrono::hours{768}};
  Milliseconds max_token_ttl{std::chrono::hours{768}};
  Milliseconds tidy_interval{std::chrono::hours{1}};
};

struct LimitsConfig {
  std::uint64_t max_body_bytes = 32U << 20U;
  std::uint64_t max_head_bytes = 16U << 10U;
  std::uint64_t max_headers = 64;
  std::uint64_t max_target_bytes = 2U << 10U;
  std::uint64_t max_json_depth = 64;
  std::uint64_t max_json_strings = 200000;
  std::uint64_t max_batch_items = 10000;
  std::uint64_t max_connections = 10000;
  std::uint64_t max_connections_per_address = 0;
  std::uint64_t max_buffered_bytes = 512U << 20U;
  std::uint64_t max_warm_keys = 100000;
  std::uint64_t max_encryptions_per_version = (std::uint64_t{1} << 32U) - (1U << 24U);
  std::uint64_t secret_memory_bytes = 4U << 20U;
  Milliseconds head_timeout{5000};
  Milliseconds body_timeout{30000};
  Milliseconds idle_timeout{75000};
  Milliseconds write_timeout{30000};
  Milliseconds request_timeout{90000};
  Milliseconds drain_timeout{4000};
};

struct ThreadsConfig {
  std::uint64_t loops = 0;  // 0: one per core
  std::uint64_t workers = 8;
  std::uint64_t worker_queue = 1024;
};

struct LogConfig {
  std::string format = "text";
  std::string level = "info";
};

struct Config {
  ListenerConfig listener;
  StoreConfig store;
  AuditConfig audit;
  HsmConfig hsm;
  HsmConfigs hsms;  // further tokens
  LeaseConfig lease;
  RotationConfig rotation;
  ScrubConfig scrub;
  AuthConfig auth;
  LimitsConfig limits;
  ThreadsConfig threads;
  LogConfig log;
};

// Every token of the configuration: `hsms`, and `hsm` as "default" when it is set; each with its
// state_directory and call_timeout filled in, and without the timeout that is of every token.
HsmConfigs AllHsms(const Config& config);

// Reads a JSON document (// and /* */ comments allowed). Errors: kInvalidArgument naming the key,
// what it may be, and for unknown keys the nearest known one.
Result<Config> ParseConfig(std::string_view text);

// Reads and parses a file. Errors: kNotFound, kInvalidArgument; both name the file.
Result<Config> LoadConfig(const std::string& path);

// Checks what only the whole tells: required keys, pairs that belong together.
// Errors: kInvalidArgument naming the keys.
Status ValidateConfig(const Config& config);

// The complete configuration as JSON with a comment on every key; ParseConfig reads it back.
std::string PrintConfig(const Config& config);

}  // namespace kms::api
