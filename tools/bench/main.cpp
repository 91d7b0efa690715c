// SPDX-License-Identifier: Apache-2.0
// kms-bench: keep-alive load against any Transit address, measured honestly.
#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tools/bench/hsm_report.h"
#include "tools/bench/report.h"
#include "tools/common/server_address.h"

namespace kms::tools {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  kms-bench --connections 64 --payload 64 --duration 10s --pid $(pidof kmsd)\n"
    "  kms-bench --mix encrypt=60,decrypt=30,rewrap=10 --rate 5000    (open loop: latency)\n"
    "  kms-bench --ceiling --duration 20s --pid $(pidof kmsd)         (share of the front's pace)\n"
    "  kms-bench --rate 500 --noise 64 --noise-token-file noisy --duration 30s\n"
    "  kms-bench --rate 1000 --during rotate-key --mount prod         (p99 while it runs)\n"
    "  kms-bench --rate 1000 --mount dev --hsm-rules-file RULES --hsm-disturb '* hang'\n"
    "\n"
    "Address and token as kmsctl: KMS_ADDR, VAULT_ADDR; KMS_TOKEN, VAULT_TOKEN, --token-file.\n"
    "Latencies of a closed loop (without --rate) hide stalls; quote those of --rate.\n"
    "Exit status: 0 when every answer was right, 1 when not or when the run failed, 2 for a wrong\n"
    "command line.";

struct BenchArguments {
  std::string address;
  std::string token_file;
  std::string ca_file;
  std::string mix = "encrypt=100";
  std::string duration = "5s";
  std::string warmup = "1s";
  std::size_t connections = 64;
  std::optional<double> rate;
  std::optional<int> pid;
  std::size_t threads = 1;
  bool ceiling = false;
  std::size_t noise = 0;
  std::string noise_token_file;
  bool json = false;
  RequestSetOptions requests;
  std::size_t make_keys = 0;
  std::size_t cold_keys = 0;
  std::string hsm_delay = "0";
  unsigned hsm_rate = 0;
  std::string hsm_disturb;
  DisturbanceOptions disturbance;
};

// "5s", "500ms", "2m" or plain seconds.
Result<std::chrono::nanoseconds> ParseDuration(const std::string& text) {
  char* unit = nullptr;
  const double number = std::strtod(text.c_str(), &unit);
  const std::string_view name = unit;
  const double seconds = name == "ms" ? 0.001 : name == "m" ? 60.0 : 1.0;
  if (unit == text.c_str() || (name != "" && name != "s" && name != "ms" && name != "m") ||
      !(number >= 0 && number * seconds <= 86400)) {
    return InvalidArgument("\"" + text + "\" is not a duration; write for example 5s or 500ms");
  }
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(number * seconds));
}

void AddOptions(CLI::App& app, BenchArguments& arguments) {
  RequestSetOptions& requests = arguments.requests;
  app.add_option("--address", arguments.address, "Server; http:// or https://")->type_name("URL");
  app.add_option("--token-file", arguments.token_file, "Read the token from this file");
  app.add_option("--ca-file", arguments.ca_file, "CA certificates for https");
  app.add_option("--mount", requests.mount, "Environment; default dev");
  app.add_option("--key", requests.key, "Key, created when missing; default bench");
  app.add_option("--type", requests.type, "Type of a key that is created");
  app.add_option("--connections", arguments.connections, "Keep-alive connections; default 64")
      ->check(CLI::Range(1, 100000));
  app.add_option("--payload", requests.payload_bytes, "Bytes of plaintext; default 64")
      ->check(CLI::Range(0, 16 << 20));
  app.add_option("--aad", requests.associated_data_bytes, "Bytes of associated data; default 0")
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--batch", requests.batch_items, "Items in each request; default 1")
      ->check(CLI::Range(1, 10000));
  app.add_option("--mix", arguments.mix,
                 "Weights of encrypt, decrypt, rewrap, datakey; default encrypt=100");
  app.add_option("--duration", arguments.duration, "Measured time; default 5s");
  app.add_option("--warmup", arguments.warmup, "Time before it; default 1s");
  app.add_option("--rate", arguments.rate,
                 "Open loop: requests per second with Poisson arrivals, latency from the "
                 "scheduled time")
      ->check(CLI::PositiveNumber);
  app.add_option("--pid", arguments.pid, "The server's process, for its CPU and memory");
  app.add_option("--threads", arguments.threads, "Threads of the generator; default 1")
      ->check(CLI::Range(1, 64));
  app.add_flag("--ceiling", arguments.ceiling,
               "Alternate with a route that only answers and report the ratio");
  app.add_option("--ceiling-path", requests.ceiling_path,
                 "That route, answered with any status below 500; default /robots.txt");
  CLI::Option* noise =
      app.add_option("--noise", arguments.noise,
                     "Alternate with a second principal who sends all it can over as many "
                     "connections, and report what that does to the latency of the first; needs "
                     "--rate")
          ->check(CLI::Range(1, 100000))
          ->excludes("--ceiling")
          ->needs("--rate");
  noise->needs(app.add_option("--noise-token-file", arguments.noise_token_file,
                              "The second principal's token"));
  app.add_flag("--json", arguments.json, "Print JSON");
}

void AddHsmOptions(CLI::App& app, BenchArguments& arguments) {
  DisturbanceOptions& disturbance = arguments.disturbance;
  app.add_option("--make-keys", arguments.make_keys, "Only make KEY-0 to KEY-(n-1)");
  app.add_option(
      "--cold-keys", arguments.cold_keys,
      "Encrypt once with each of those keys and count the calls to HSMs; after a restart "
      "of the server");
  CLI::Option* rules =
      app.add_option("--hsm-rules-file", disturbance.rules_file,
                     "Control file of the fault shim in front of an HSM (tests/support/p11fault)");
  app.add_option("--hsm-delay", arguments.hsm_delay, "Each call to that HSM takes so long; 2ms")
      ->needs(rules);
  app.add_option("--hsm-rate", arguments.hsm_rate, "It takes so many calls a second")->needs(rules);
  CLI::Option* disturb =
      app.add_option("--hsm-disturb", arguments.hsm_disturb,
                     "Measure without and with these rules of the shim, for example \"* hang\"")
          ->needs(rules);
  app.add_option("--during", disturbance.task,
                 "Measure without and during a rotation: rotate-master or rotate-key")
      ->check(CLI::IsMember({"rotate-master", "rotate-key"}))
      ->excludes(disturb);
  app.add_option("--during-rate", disturbance.task_rate,
                 "Its entries per second; default as many as it can");
  app.add_option("--during-env", disturbance.environment,
                 "Environment of the rotation; default that of --mount");
  app.add_option("--during-environments", disturbance.environments,
                 "Rotate ENV-0 to ENV-(n-1) instead, made if missing")
      ->check(CLI::Range(1, 10000));
}

Verification Verify(const RequestSet& requests, const LoadResult& load) {
  Verification verification;
  for (const std::string& answer : load.sampled_answers) {
    ++verification.checked;
    verification.wrong += requests.VerifyCiphertext(answer).has_value() ? 0U : 1U;
  }
  return verification;
}

template <typename Report>
int Finish(const Report& report, const LoadResult& load, const RequestSet& requests,
           const BenchArguments& arguments) {
  const Verification verification = Verify(requests, load);
  const std::size_t items = arguments.requests.batch_items;
  std::cout << (arguments.json ? ToJson(report, verification, items).dump(2) + "\n"
                               : ToText(report, verification, items))
            << std::flush;
  return IsClean(load, verification) ? 0 : 1;
}

// What needs no load: makes keys, or uses each of them once. Nothing: go on.
Result<std::optional<int>> ServeKeys(ApiClient& api, const BenchArguments& arguments) {
  if (arguments.make_keys != 0) {
    KMS_TRY(MakeKeys(api, arguments.requests, arguments.make_keys));
    return std::optional<int>(0);
  }
  if (arguments.cold_keys == 0) {
    return std::optional<int>();
  }
  const ColdMeasurement report = KMS_TRY(MeasureCold(api, arguments.requests, arguments.cold_keys));
  std::cout << (arguments.json ? ToJson(report).dump(2) + "\n" : ToText(report)) << std::flush;
  return std::optional<int>(0);
}

// The rules of the slow HSM, from now on.
Status SlowDown(BenchArguments& arguments) {
  DisturbanceOptions& disturbance = arguments.disturbance;
  const std::chrono::nanoseconds delay = KMS_TRY(ParseDuration(arguments.hsm_delay));
  disturbance.quiet_rules = SlowHsmRules(
      std::chrono::duration_cast<std::chrono::milliseconds>(delay), arguments.hsm_rate);
  if (disturbance.rules_file.empty()) {
    return Ok();
  }
  disturbance.rules = disturbance.quiet_rules + arguments.hsm_disturb + "\n";
  return WriteRules(disturbance.rules_file, disturbance.quiet_rules);
}

Result<int> Measure(BenchArguments& arguments) {
  MeasurementOptions options;
  options.mix = KMS_TRY(ParseMix(arguments.mix));
  options.duration = KMS_TRY(ParseDuration(arguments.duration));
  options.warmup = KMS_TRY(ParseDuration(arguments.warmup));
  options.rate = arguments.rate;
  options.server_pid = arguments.pid;
  options.threads = std::min(arguments.threads, arguments.connections);
  arguments.requests.address = KMS_TRY(ResolveAddress(arguments.address));
  const ServerAddress& address = arguments.requests.address;
  const PlaintextBuffer token = KMS_TRY(ResolveToken(arguments.token_file));
  SslContext context;
  if (address.https) {
    context = KMS_TRY(MakeSslContext(ResolveCaFile(arguments.ca_file)));
  }
  KMS_TRY(SlowDown(arguments));
  ApiClient api = KMS_TRY(ApiClient::Connect(address, token, context.get()));
  if (const std::optional<int> done = KMS_TRY(ServeKeys(api, arguments))) {
    return *done;
  }
  const RequestSet requests =
      KMS_TRY(RequestSet::Prepare(arguments.requests, token, context.get()));
  LoadGroup group = KMS_TRY(
      LoadGroup::Connect(requests, address, context.get(), arguments.connections, options.threads));
  if (!arguments.hsm_disturb.empty() || !arguments.disturbance.task.empty()) {
    if (arguments.disturbance.environment.empty()) {
      arguments.disturbance.environment = arguments.requests.mount;
    }
    const DisturbanceMeasurement report =
        KMS_TRY(MeasureDisturbance(group, api, options, arguments.disturbance));
    LoadResult load = report.quiet.load;
    load.Add(report.disturbed.load);
    return Finish(report, load, requests, arguments);
  }
  if (arguments.ceiling) {
    const CeilingMeasurement report = KMS_TRY(MeasureAgainstCeiling(group, options));
    LoadResult load = report.mix.load;
    load.errors += report.ceiling.load.errors;
    load.broken += report.ceiling.load.broken;
    return Finish(report, load, requests, arguments);
  }
  if (arguments.noise != 0) {
    const PlaintextBuffer noisy = KMS_TRY(ResolveToken(arguments.noise_token_file));
    const RequestSet noise_requests = requests.WithToken(noisy);
    LoadGroup noise = KMS_TRY(
        LoadGroup::Connect(noise_requests, address, context.get(), arguments.noise, /*threads=*/1));
    const NoiseMeasurement report = KMS_TRY(MeasureNoise(group, noise, options));
    LoadResult load = report.quiet.load;
    load.Add(report.disturbed.load);
    return Finish(report, load, requests, arguments);
  }
  const Measurement report = KMS_TRY(MeasurePlain(group, options));
  return Finish(report, report.load, requests, arguments);
}

// A thousand connections need more descriptors than the usual soft limit.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int Run(int argc, char** argv) {
  CLI::App app("kms-bench loads a key service and reports pace, latency, CPU and memory.",
               "kms-bench");
  app.footer(kExamples);
  BenchArguments arguments;
  AddOptions(app, arguments);
  AddHsmOptions(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    return app.exit(failure) == 0 ? 0 : 2;
  }
  const Result<int> outcome = Measure(arguments);
  if (!outcome.has_value()) {
    std::cerr << "kms-bench: " << outcome.error().public_message << "\n";
    return outcome.error().code == ErrorCode::kInvalidArgument ? 2 : 1;
  }
  return *outcome;
}

}  // namespace

}  // namespace kms::tools

int main(int argc, char** argv) {
  kms::tools::RaiseDescriptorLimit();
  // Timers of the open loop fire when they should, not up to 50 us later.
  prctl(PR_SET_TIMERSLACK, 1UL);
  try {
    return kms::tools::Run(argc, argv);
  } catch (const std::exception& failure) {
    std::cerr << "kms-bench: unexpected failure: " << failure.what() << "\n";
    return 1;
  }
}
