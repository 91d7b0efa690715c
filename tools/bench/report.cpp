// SPDX-License-Identifier: Apache-2.0
// Renders measurements.
#include "tools/bench/report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace kms::tools {

namespace {

constexpr double kOwnCpuLimit = 0.9;

struct NamedQuantile {
  const char* name;
  double fraction;
};
constexpr NamedQuantile kQuantiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

double Seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}
double Microseconds(std::chrono::nanoseconds time) {
  return static_cast<double>(time.count()) / 1000.0;
}
double Mebibytes(std::uint64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0); }

double PerSecond(const LoadResult& load) {
  return static_cast<double>(load.answers) / Seconds(load.elapsed);
}

template <typename... Values>
std::string Format(const char* format, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

nlohmann::json ToJson(const Interval& interval) {
  return {{"median", interval.median}, {"low", interval.low}, {"high", interval.high}};
}

std::string ToText(const Interval& interval, const char* format) {
  const std::string wide = std::string(format) + " [" + format + ", " + format + "]";
  return Format(wide.c_str(), interval.median, interval.low, interval.high);
}

std::string LatencyText(const LoadResult& load) {
  std::string text = "latency us     ";
  for (const NamedQuantile& quantile : kQuantiles) {
    text +=
        Format("%s %.0f  ", quantile.name, Microseconds(load.latency.Quantile(quantile.fraction)));
  }
  return text + Format("max %.0f\n", Microseconds(load.latency.max()));
}

std::string ErrorText(const LoadResult& load, const Verification& verification) {
  std::string text = Format("errors         %llu", static_cast<unsigned long long>(load.errors));
  for (const auto& [status, count] : load.statuses) {
    if (status != 200) {
      text += Format("  HTTP %d: %llu", status, static_cast<unsigned long long>(count));
    }
  }
  if (load.broken != 0) {
    text += Format("  broken connections: %llu", static_cast<unsigned long long>(load.broken));
  }
  if (load.unanswered != 0) {
    text += Format("  unanswered: %llu", static_cast<unsigned long long>(load.unanswered));
  }
  return text + Format("\nverified       %zu samples, %zu wrong\n", verification.checked,
                       verification.wrong);
}

std::string ServerText(const Measurement& measurement) {
  if (!measurement.server.has_value()) {
    return {};
  }
  const double cpu = Seconds(*measurement.server_cpu);
  return Format("server CPU     %.2f of a core, %.0f requests per CPU second\n",
                cpu / Seconds(measurement.load.elapsed),
                static_cast<double>(measurement.load.answers) / cpu) +
         Format("server memory  %.1f MiB resident, %.1f MiB at most, %llu threads\n",
                Mebibytes(measurement.server->resident_bytes),
                Mebibytes(measurement.server->peak_resident_bytes),
                static_cast<unsigned long long>(measurement.server->threads));
}

std::string OwnCpuText(double share) {
  std::string text = Format("own CPU        %.2f of a core per thread", share);
  if (share > kOwnCpuLimit) {
    text += "  WARNING: the generator is the limit; only requests per CPU second are valid";
  }
  return text + "\n";
}

}  // namespace

bool IsClean(const LoadResult& load, const Verification& verification) {
  return load.errors == 0 && load.broken == 0 && load.unanswered == 0 &&
         load.wrong_plaintexts == 0 && verification.wrong == 0;
}

nlohmann::json ToJson(const Measurement& measurement, const Verification& verification,
                      std::size_t batch_items) {
  const LoadResult& load = measurement.load;
  nlohmann::json latency = {{"max", Microseconds(load.latency.max())}};
  for (const NamedQuantile& quantile : kQuantiles) {
    latency[quantile.name] = Microseconds(load.latency.Quantile(quantile.fraction));
  }
  nlohmann::json statuses = nlohmann::json::object();
  for (const auto& [status, count] : load.statuses) {
    statuses[std::to_string(status)] = count;
  }
  nlohmann::json verbs = nlohmann::json::object();
  for (std::size_t i = 0; i < kBenchVerbs; ++i) {
    if (load.by_verb[i] != 0) {
      verbs[std::string(BenchVerbName(static_cast<BenchVerb>(i)))] = load.by_verb[i];
    }
  }
  nlohmann::json report = {{"seconds", Seconds(load.elapsed)},
                           {"requests", load.answers},
                           {"requests_per_second", PerSecond(load)},
                           {"items_per_second", PerSecond(load) * static_cast<double>(batch_items)},
                           {"latency_us", latency},
                           {"statuses", statuses},
                           {"verbs", verbs},
                           {"errors", load.errors},
                           {"broken_connections", load.broken},
                           {"unanswered", load.unanswered},
                           {"longest_queue", load.longest_queue},
                           {"samples_verified", verification.checked},
                           {"samples_wrong", verification.wrong + load.wrong_plaintexts},
                           {"own_cpu_share", measurement.own_cpu_share},
                           {"generator_limited", measurement.own_cpu_share > kOwnCpuLimit}};
  if (measurement.server.has_value()) {
    const double cpu = Seconds(*measurement.server_cpu);
    report["server"] = {
        {"cpu_seconds", cpu},
        {"requests_per_cpu_second", cpu > 0 ? static_cast<double>(load.answers) / cpu : 0},
        {"resident_bytes", measurement.server->resident_bytes},
        {"peak_resident_bytes", measurement.server->peak_resident_bytes},
        {"threads", measurement.server->threads}};
  }
  return report;
}

nlohmann::json ToJson(const CeilingMeasurement& measurement, const Verification& verification,
                      std::size_t batch_items) {
  nlohmann::json report = {{"rounds", measurement.rounds},
                           {"mix", ToJson(measurement.mix, verification, batch_items)},
                           {"ceiling", ToJson(measurement.ceiling, {}, 1)},
                           {"mix_per_second", ToJson(measurement.mix_per_second)},
                           {"ceiling_per_second", ToJson(measurement.ceiling_per_second)},
                           {"throughput_ratio", ToJson(measurement.throughput_ratio)}};
  if (measurement.cpu_ratio.has_value()) {
    report["mix_cpu_us"] = ToJson(*measurement.mix_cpu_us);
    report["ceiling_cpu_us"] = ToJson(*measurement.ceiling_cpu_us);
    report["cpu_ratio"] = ToJson(*measurement.cpu_ratio);
  }
  return report;
}

nlohmann::json ToJson(const NoiseMeasurement& measurement, const Verification& verification,
                      std::size_t batch_items) {
  nlohmann::json statuses = nlohmann::json::object();
  for (const auto& [status, count] : measurement.noise.statuses) {
    statuses[std::to_string(status)] = count;
  }
  return {{"rounds", measurement.rounds},
          {"quiet", ToJson(measurement.quiet, verification, batch_items)},
          {"disturbed", ToJson(measurement.disturbed, {}, batch_items)},
          {"noise", {{"per_second", PerSecond(measurement.noise)}, {"statuses", statuses}}},
          {"quiet_p99_us", ToJson(measurement.quiet_p99_us)},
          {"disturbed_p99_us", ToJson(measurement.disturbed_p99_us)},
          {"p99_ratio", ToJson(measurement.p99_ratio)}};
}

std::string ToText(const Measurement& measurement, const Verification& verification,
                   std::size_t batch_items) {
  const LoadResult& load = measurement.load;
  std::string text =
      Format("requests       %llu in %.2f s, %.0f per second\n",
             static_cast<unsigned long long>(load.answers), Seconds(load.elapsed), PerSecond(load));
  if (batch_items > 1) {
    text += Format("items          %.0f per second, %zu in each request\n",
                   PerSecond(load) * static_cast<double>(batch_items), batch_items);
  }
  text += LatencyText(load);
  if (load.longest_queue != 0) {
    text += Format("longest queue  %llu\n", static_cast<unsigned long long>(load.longest_queue));
  }
  return text + ErrorText(load, verification) + ServerText(measurement) +
         OwnCpuText(measurement.own_cpu_share);
}

std::string ToText(const CeilingMeasurement& measurement, const Verification& verification,
                   std::size_t batch_items) {
  std::string text =
      ToText(measurement.mix, verification, batch_items) +
      Format("\nmedians of %zu rounds with 95 %% intervals, mix against the ceiling route\n",
             measurement.rounds) +
      "mix            " + ToText(measurement.mix_per_second, "%.0f") + " per second\n" +
      "ceiling        " + ToText(measurement.ceiling_per_second, "%.0f") + " per second\n" +
      "ratio          " + ToText(measurement.throughput_ratio, "%.3f") + "\n";
  if (measurement.cpu_ratio.has_value()) {
    text += "mix CPU        " + ToText(*measurement.mix_cpu_us, "%.2f") + " us per request\n" +
            "ceiling CPU    " + ToText(*measurement.ceiling_cpu_us, "%.2f") + " us per request\n" +
            "CPU ratio      " + ToText(*measurement.cpu_ratio, "%.3f") + "\n";
  }
  return text;
}

std::string ToText(const NoiseMeasurement& measurement, const Verification& verification,
                   std::size_t batch_items) {
  const LoadResult& noise = measurement.noise;
  const auto refused = noise.statuses.find(429);
  return "without noise\n" + ToText(measurement.quiet, verification, batch_items) +
         "\nwith noise\n" + ToText(measurement.disturbed, {}, batch_items) +
         Format("\nnoise          %.0f answers per second, %.1f %% refused with 429\n",
                PerSecond(noise),
                100.0 * static_cast<double>(refused == noise.statuses.end() ? 0 : refused->second) /
                    static_cast<double>(noise.answers == 0 ? 1 : noise.answers)) +
         Format("medians of %zu rounds with 95 %% intervals\n", measurement.rounds) +
         "p99 alone      " + ToText(measurement.quiet_p99_us, "%.0f") + " us\n" +
         "p99 with noise " + ToText(measurement.disturbed_p99_us, "%.0f") + " us\n" +
         "ratio          " + ToText(measurement.p99_ratio, "%.2f") + "\n";
}

}  // namespace kms::tools
