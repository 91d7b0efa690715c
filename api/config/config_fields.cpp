// SPDX-License-Identifier: Apache-2.0
#include "api/config/config_fields.h"

#include <array>
#include <charconv>
#include <limits>

namespace kms::api {

namespace {

constexpr std::uint64_t kNoMaximum = std::numeric_limits<std::int64_t>::max();

// Names a member of Config for a row of the table.
#define KMS_MEMBER(path) [](Config& config) -> auto& { return config.path; }

constexpr std::array kFields = {
    ConfigField{"listener", "address", TextKind{KMS_MEMBER(listener.address), ""},
                "HOST:PORT to listen on; [::1]:8200 for IPv6; port 0 picks one"},
    ConfigField{"listener", "allow_plain_http", BoolKind{KMS_MEMBER(listener.allow_plain_http)},
                "serve HTTP without TLS on an address that is not loopback"},
    ConfigField{"listener", "tls_certificate", TextKind{KMS_MEMBER(listener.tls_certificate), ""},
                "PEM chain, leaf first; set with tls_key to serve HTTPS (TLS 1.2 and 1.3)"},
    ConfigField{"listener", "tls_key", TextKind{KMS_MEMBER(listener.tls_key), ""},
                "PEM private key of the certificate, mode 0600"},
    ConfigField{"listener", "tls_client_ca", TextKind{KMS_MEMBER(listener.tls_client_ca), ""},
                "PEM CA certificates; when set, clients must present a certificate of theirs"},
    ConfigField{"listener", "tls_client_certificates",
                TextKind{KMS_MEMBER(listener.tls_client_certificates), "none|request|require"},
                "ask clients for a certificate without verifying its chain (the cert login does): "
                "request = one may come, require = no connection without one"},
    ConfigField{"listener", "trusted_proxies", TextKind{KMS_MEMBER(listener.trusted_proxies), ""},
                "addresses or CIDR blocks, separated by commas, whose X-Forwarded-For is believed"},

    ConfigField{"store", "path", TextKind{KMS_MEMBER(store.path), ""},
                "SQLite file that holds the sealed entries; required"},

    ConfigField{"audit", "path", TextKind{KMS_MEMBER(audit.path), ""},
                "hash-chained audit log, one JSON object per line; required"},
    ConfigField{"audit", "durability", TextKind{KMS_MEMBER(audit.durability), "write|fsync"},
                "what an answer waits for: write = handed to the kernel, fsync = on disk"},

    ConfigField{"hsm", "module", TextKind{KMS_MEMBER(hsm.module), ""},
                "absolute path of the PKCS#11 module; required"},
    ConfigField{"hsm", "module_init", TextKind{KMS_MEMBER(hsm.module_init), ""},
                "initialisation string some modules want (NSS); usually empty"},
    ConfigField{"hsm", "token_label", TextKind{KMS_MEMBER(hsm.token_label), ""},
                "label of the token; required"},
    ConfigField{"hsm", "token_serial", TextKind{KMS_MEMBER(hsm.token_serial), ""},
                "when set, the token must have this serial number too"},
    ConfigField{"hsm", "pin", SecretKind{KMS_MEMBER(hsm.pin)},
                "where the user PIN is: file:PATH, env:NAME, credential:NAME or fd:NUMBER; required"},
    ConfigField{"hsm", "sessions", CountKind{KMS_MEMBER(hsm.sessions), 1, 256},
                "sessions kept open; network HSMs: calls per second times latency, plus 2"},
    ConfigField{"hsm", "mechanism",
                TextKind{KMS_MEMBER(hsm.mechanism),
                         "auto|gcm-encrypt|kwp-encrypt|kw-encrypt|kwp-wrap|kw-wrap|oaep-sha256|"
                         "oaep-sha256-raw"},
                "how environment keys are wrapped; auto picks the first that passes its test"},
    ConfigField{"hsm", "pass_environment", TextKind{KMS_MEMBER(hsm.pass_environment), ""},
                "variables the module needs, separated by commas: NAME hands on ours, NAME=VALUE sets one "
                "(never a secret): \"ChrystokiConfigurationPath,YUBIHSM_PKCS11_CONF\""},
    ConfigField{"hsm", "softhsm_config", TextKind{KMS_MEMBER(hsm.softhsm_config), ""},
                "SoftHSM only: its configuration file"},
    ConfigField{"hsm", "softhsm_state_directory",
                TextKind{KMS_MEMBER(hsm.softhsm_state_directory), ""},
                "SoftHSM only: where the lock and the backup copies of the token are kept"},
    ConfigField{"hsm", "state_directory", TextKind{KMS_MEMBER(hsm.state_directory), ""},
                "where is remembered that a PIN was refused, so that no restart tries it again; "
                "empty = the SoftHSM one, else the directory of store.path"},
    ConfigField{"hsm", "network", BoolKind{KMS_MEMBER(hsm.network)},
                "the module reaches its HSM over the network: its process may open such sockets"},
    ConfigField{"hsm", "memory_limit_bytes",
                CountKind{KMS_MEMBER(hsm.memory_limit_bytes), 0, kNoMaximum},
                "a module whose process grows beyond this is given a fresh one; 0 = no limit"},
    ConfigField{"hsm", "max_calls", CountKind{KMS_MEMBER(hsm.max_calls), 1, 1024},
                "calls to the token at once; others wait for their turn"},
    ConfigField{"hsm", "max_waiting", CountKind{KMS_MEMBER(hsm.max_waiting), 0, 100000},
                "and no more than these; further ones fail at once"},
    ConfigField{"hsm", "breaker_failures", CountKind{KMS_MEMBER(hsm.breaker_failures), 1, 1000},
                "calls in a row without an answer after which the token is left alone for a while"},
    ConfigField{"hsm", "breaker_hung_after",
                DurationKind{KMS_MEMBER(hsm.breaker_hung_after), Milliseconds{10}},
                "one call that fails after so long is enough for that"},
    ConfigField{"hsm", "breaker_first_pause",
                DurationKind{KMS_MEMBER(hsm.breaker_first_pause), Milliseconds{10}},
                "how long that is at first; it doubles with every probe that fails"},
    ConfigField{"hsm", "breaker_longest_pause",
                DurationKind{KMS_MEMBER(hsm.breaker_longest_pause), Milliseconds{10}},
                "and how long at most"},
    ConfigField{"hsm", "call_timeout",
                DurationKind{KMS_MEMBER(hsm.call_timeout), Milliseconds{10}},
                "a call that takes longer is abandoned; a token of hsms that says nothing has that of "
                "hsm; at most 5m"},
    ConfigField{"hsm", "start_timeout",
                DurationKind{KMS_MEMBER(hsm.start_timeout), Milliseconds{100}},
                "how long the start waits for a token that opens the service"},

    ConfigField{"lease", "interval", DurationKind{KMS_MEMBER(lease.interval), Milliseconds{100}},
                "how often each environment proves that an HSM still opens its key; the mount option "
                "lease_interval sets it for one environment"},
    ConfigField{"lease", "grace", DurationKind{KMS_MEMBER(lease.grace), Milliseconds{0}, true},
                "how long keys stay in memory while that proof fails (mount option lease_grace); "
                "\"forever\" is availability mode, a trade: an outage of the HSMs stops nobody, and "
                "pulling them wipes nothing"},

    ConfigField{"rotation", "check_interval",
                DurationKind{KMS_MEMBER(rotation.check_interval), Milliseconds{100}},
                "how often keys are looked at whose auto_rotate_period is over or whose encryptions "
                "come near the limit; give or take a tenth"},

    ConfigField{"scrub", "interval", DurationKind{KMS_MEMBER(scrub.interval), Milliseconds{1000}},
                "from the begin of one look at everything that is stored to that of the next"},
    ConfigField{"scrub", "entries_per_second",
                CountKind{KMS_MEMBER(scrub.entries_per_second), 1, 1'000'000},
                "how fast it goes"},

    ConfigField{"auth", "root_token", SecretKind{KMS_MEMBER(auth.root_token)},
                "where the root token is: file:PATH, env:NAME, credential:NAME or fd:NUMBER; required. "
                "You make it: (umask 077; echo \"kms.$(openssl rand -hex 24)\" > root-token)"},
    ConfigField{"auth", "default_token_ttl",
                DurationKind{KMS_MEMBER(auth.default_token_ttl), Milliseconds{1000}},
                "how long a token lives that asks for nothing else"},
    ConfigField{"auth", "max_token_ttl",
                DurationKind{KMS_MEMBER(auth.max_token_ttl), Milliseconds{1000}},
                "how long a token may live with all its renewals"},
    ConfigField{"auth", "tidy_interval",
                DurationKind{KMS_MEMBER(auth.tidy_interval), Milliseconds{100}},
                "how often what is over of tokens, secret IDs, wrapped answers and approvals is "
                "deleted; give or take a tenth"},

    ConfigField{"limits", "max_body_bytes",
                CountKind{KMS_MEMBER(limits.max_body_bytes), 1024, 1U << 30U}, "request body"},
    ConfigField{"limits", "max_head_bytes",
                CountKind{KMS_MEMBER(limits.max_head_bytes), 1024, 1U << 20U},
                "request line and headers together"},
    ConfigField{"limits", "max_headers", CountKind{KMS_MEMBER(limits.max_headers), 8, 1024},
                "header fields per request"},
    ConfigField{"limits", "max_target_bytes",
                CountKind{KMS_MEMBER(limits.max_target_bytes), 256, 1U << 16U},
                "path and query together"},
    ConfigField{"limits", "max_json_depth", CountKind{KMS_MEMBER(limits.max_json_depth), 4, 1000},
                "nesting of a JSON body"},
    ConfigField{"limits", "max_json_strings",
                CountKind{KMS_MEMBER(limits.max_json_strings), 100, kNoMaximum},
                "strings in a JSON body, keys included"},
    ConfigField{"limits", "max_batch_items",
                CountKind{KMS_MEMBER(limits.max_batch_items), 1, 1000000},
                "items in one batch_input"},
    ConfigField{"limits", "max_connections",
                CountKind{KMS_MEMBER(limits.max_connections), 1, 1000000}, "open at once"},
    ConfigField{"limits", "max_connections_per_address",
                CountKind{KMS_MEMBER(limits.max_connections_per_address), 0, 1000000},
                "open at once from one client address; 0 = no limit"},
    ConfigField{"limits", "max_buffered_bytes",
                CountKind{KMS_MEMBER(limits.max_buffered_bytes), 1U << 20U, kNoMaximum},
                "request bytes held for all connections together"},
    ConfigField{"limits", "max_warm_keys",
                CountKind{KMS_MEMBER(limits.max_warm_keys), 16, 10000000},
                "keys of one environment kept ready in memory"},
    ConfigField{"limits", "max_encryptions_per_version",
                CountKind{KMS_MEMBER(limits.max_encryptions_per_version), 1,
                          LimitsConfig{}.max_encryptions_per_version},
                "encryptions under one key version; at the limit the key rotates by itself if it may, "
                "else they are refused; 2^32 less a margin is the most that AES-GCM allows"},
    ConfigField{"limits", "secret_memory_bytes",
                CountKind{KMS_MEMBER(limits.secret_memory_bytes), 1U << 20U, 1U << 30U},
                "locked memory for key material, a power of two; about 100 bytes per key version"},
    ConfigField{"limits", "head_timeout",
                DurationKind{KMS_MEMBER(limits.head_timeout), Milliseconds{100}},
                "for the whole head, from its first byte"},
    ConfigField{"limits", "body_timeout",
                DurationKind{KMS_MEMBER(limits.body_timeout), Milliseconds{100}},
                "for the whole body"},
    ConfigField{"limits", "idle_timeout",
                DurationKind{KMS_MEMBER(limits.idle_timeout), Milliseconds{100}},
                "between requests of a kept connection"},
    ConfigField{"limits", "write_timeout",
                DurationKind{KMS_MEMBER(limits.write_timeout), Milliseconds{100}},
                "for a client that does not read its answer"},
    ConfigField{"limits", "request_timeout",
                DurationKind{KMS_MEMBER(limits.request_timeout), Milliseconds{100}},
                "from complete request to answer"},
    ConfigField{"limits", "drain_timeout",
                DurationKind{KMS_MEMBER(limits.drain_timeout), Milliseconds{0}},
                "for requests in flight after SIGTERM"},

    ConfigField{"threads", "loops", CountKind{KMS_MEMBER(threads.loops), 0, 256},
                "event loops; 0 = one per core"},
    ConfigField{"threads", "workers", CountKind{KMS_MEMBER(threads.workers), 1, 1024},
                "threads for requests that may block"},
    ConfigField{"threads", "worker_queue", CountKind{KMS_MEMBER(threads.worker_queue), 1, 1000000},
                "requests that may wait for one of them"},

    ConfigField{"log", "format", TextKind{KMS_MEMBER(log.format), "text|json"},
                "of the service log on standard error"},
    ConfigField{"log", "level", TextKind{KMS_MEMBER(log.level), "debug|info|warn|error"},
                "least severity that is logged"},
};

#undef KMS_MEMBER

struct DurationUnit {
  std::string_view suffix;
  std::int64_t milliseconds;
};
// Longest first, so that printing picks the shortest text; "ms" before "m" and "s" for parsing.
constexpr std::array kUnits = {DurationUnit{"d", 86'400'000}, DurationUnit{"h", 3'600'000},
                               DurationUnit{"ms", 1}, DurationUnit{"m", 60'000},
                               DurationUnit{"s", 1'000}};

}  // namespace

std::span<const ConfigField> ConfigFields() { return kFields; }

bool IsOfEveryToken(std::string_view hsm_key) {
  return hsm_key == "start_timeout";
}

Result<Milliseconds> ParseDuration(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view suffix{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  for (const DurationUnit& unit : kUnits) {
    const bool fits = count >= 0 && count <= kUnits[0].milliseconds * 36500 / unit.milliseconds;
    if (code == std::errc{} && suffix == unit.suffix && fits) {
      return Milliseconds{count * unit.milliseconds};
    }
  }
  return InvalidArgument("must be a duration such as \"250ms\", \"5s\", \"10m\", \"1h\" or \"30d\"");
}

std::string FormatDuration(Milliseconds duration) {
  if (duration == kForever) {
    return "forever";
  }
  for (const std::string_view suffix : {"d", "h", "m", "s"}) {
    for (const DurationUnit& unit : kUnits) {
      if (unit.suffix == suffix && duration.count() != 0 &&
          duration.count() % unit.milliseconds == 0) {
        return std::to_string(duration.count() / unit.milliseconds) + std::string{suffix};
      }
    }
  }
  return std::to_string(duration.count()) + "ms";
}

}  // namespace kms::api
