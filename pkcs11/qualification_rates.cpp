// SPDX-License-Identifier: Apache-2.0
// Throughput and latency of what the service asks of a token, by the number of threads.
#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>

#include "kms/base/random.h"
#include "pkcs11/qualification_bench.h"

namespace kms::pkcs11 {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostSamples = 100'000;  // of one thread
constexpr std::uint32_t kMostThreads = 64;
constexpr std::string_view kOperations[] = {"wrap", "unwrap", "sign"};

// True when it succeeded.
using OneCall = std::function<bool(Session&)>;

struct Samples {
  std::uint64_t operations = 0;
  std::uint64_t failures = 0;
  std::vector<double> microseconds;
};

Samples RunThread(Session& session, const OneCall& call, Clock::time_point end) {
  Samples samples;
  do {
    const auto begin = Clock::now();
    const bool good = call(session);
    const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
    samples.operations += good ? 1 : 0;
    samples.failures += good ? 0 : 1;
    if (samples.microseconds.size() < kMostSamples) samples.microseconds.push_back(took.count());
    // A broken session fails at once and for ever.
    if (!good && samples.failures > 3) break;
  } while (Clock::now() < end);
  return samples;
}

double Percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(share * last)];
}

MeasuredRate Summarize(std::string_view operation, std::vector<Samples>& all,
                       std::chrono::duration<double> elapsed) {
  MeasuredRate rate{.operation = std::string(operation),
                    .threads = static_cast<std::uint32_t>(all.size())};
  std::vector<double> latencies;
  for (const Samples& samples : all) {
    rate.operations += samples.operations;
    rate.failures += samples.failures;
    latencies.insert(latencies.end(), samples.microseconds.begin(), samples.microseconds.end());
  }
  std::ranges::sort(latencies);
  rate.per_second =
      elapsed.count() > 0 ? static_cast<double>(rate.operations) / elapsed.count() : 0;
  rate.p50 = Percentile(latencies, 0.5);
  rate.p95 = Percentile(latencies, 0.95);
  rate.p99 = Percentile(latencies, 0.99);
  rate.longest = latencies.empty() ? 0 : latencies.back();
  return rate;
}

// A session each; fewer threads where the token grants fewer sessions.
Result<MeasuredRate> Measure(QualificationBench& bench, std::string_view operation,
                             const OneCall& call, std::uint32_t threads,
                             std::chrono::milliseconds duration) {
  std::vector<Session> sessions;
  while (sessions.size() < threads) {
    auto session = bench.OpenOwn();
    if (!session.has_value()) break;
    sessions.push_back(std::move(*session));
  }
  if (sessions.empty()) return Unavailable("the token grants no session");
  std::vector<Samples> all(sessions.size());
  const auto begin = Clock::now();
  {
    std::vector<std::jthread> running;
    for (std::size_t index = 0; index < sessions.size(); ++index) {
      running.emplace_back(
          [&, index] { all[index] = RunThread(sessions[index], call, begin + duration); });
    }
  }
  return Summarize(operation, all, Clock::now() - begin);
}

}  // namespace

Status QualifyRates(QualificationBench& bench) {
  std::optional<Session> keeper = KMS_TRY(bench.Open());
  const auto key = KMS_TRY(bench.MakeKey(*keeper, /*in_token=*/true));
  const WrappingKey wrapping = key.wrapping();
  SecretBytes secret = KMS_TRY(SecretBytes::OfSize(32));
  FillRandom(secret.MutableView());
  const ByteView context = AsBytes("kms-test");
  const WrappedKey wrapped = KMS_TRY(WrapUnder(*keeper, wrapping, secret, context));
  keeper = KMS_TRY(bench.Open());
  const auto pair = MakeEcPair(*keeper, /*in_token=*/true, Uuid::Random());
  keeper.reset();  // the token may grant no other
  const Bytes digest(32, 7);

  const auto call_of = [&](std::string_view operation) -> OneCall {
    if (operation == "wrap") {
      return [&](Session& session) {
        return WrapUnder(session, wrapping, secret, context).has_value();
      };
    }
    if (operation == "unwrap") {
      return [&](Session& session) {
        return UnwrapUnder(session, wrapping, wrapped, context).has_value();
      };
    }
    return [&](Session& session) {
      Bytes signature;
      return SignOnce(session, pair->private_key, digest, signature).ok();
    };
  };
  const auto& threads = bench.task().threads;
  const auto cells = static_cast<long>(std::max<std::size_t>(threads.size() * 3, 1));
  const auto duration = std::max(bench.task().duration / cells, std::chrono::milliseconds(1));
  for (const std::string_view operation : kOperations) {
    if (operation == "sign" && !pair.has_value()) continue;
    for (const std::uint32_t count : threads) {
      const auto wanted = std::clamp<std::uint32_t>(count, 1, kMostThreads);
      const auto rate = KMS_TRY(Measure(bench, operation, call_of(operation), wanted, duration));
      bench.Tell(rate);
      if (rate.failures > 0) {
        bench.Warn(rate.operation, std::to_string(rate.failures) + " calls of " +
                                       std::to_string(rate.threads) + " threads failed");
      }
      if (rate.threads < wanted) break;
    }
  }
  return Ok();
}

}  // namespace kms::pkcs11
