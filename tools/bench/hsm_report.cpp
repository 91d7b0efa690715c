// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/hsm_report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace kms::tools {

namespace {

double Seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}
double Microseconds(std::chrono::nanoseconds time) { return Seconds(time) * 1e6; }

double PerSecond(double count, std::chrono::nanoseconds elapsed) {
  return elapsed.count() == 0 ? 0 : count / Seconds(elapsed);
}

template <typename... Values>
std::string Format(const char* format, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

}  // namespace

nlohmann::json ToJson(const ColdMeasurement& measurement) {
  return {
      {"cold_keys", measurement.keys},
      {"seconds", Seconds(measurement.elapsed)},
      {"keys_per_second", PerSecond(static_cast<double>(measurement.keys), measurement.elapsed)},
      {"p50_us", Microseconds(measurement.latency.Quantile(0.5))},
      {"p99_us", Microseconds(measurement.latency.Quantile(0.99))},
      {"hsm_calls_before", measurement.calls_before},
      {"hsm_calls_after", measurement.calls_after}};
}

std::string ToText(const ColdMeasurement& measurement) {
  std::string text =
      Format("cold keys      %zu in %.2f s, %.0f per second\nlatency us     p50 %.0f  p99 %.0f\n",
             measurement.keys, Seconds(measurement.elapsed),
             PerSecond(static_cast<double>(measurement.keys), measurement.elapsed),
             Microseconds(measurement.latency.Quantile(0.5)),
             Microseconds(measurement.latency.Quantile(0.99)));
  for (const auto& [hsm, after] : measurement.calls_after) {
    const auto before = measurement.calls_before.find(hsm);
    const std::uint64_t first = before == measurement.calls_before.end() ? 0 : before->second;
    text += Format("HSM calls      %s: %llu at the start, %llu during this\n", hsm.c_str(),
                   static_cast<unsigned long long>(first),
                   static_cast<unsigned long long>(after - first));
  }
  return text;
}

nlohmann::json ToJson(const DisturbanceMeasurement& measurement, const Verification& verification,
                      std::size_t batch_items) {
  return {{"quiet", ToJson(measurement.quiet, verification, batch_items)},
          {"disturbed", ToJson(measurement.disturbed, {}, batch_items)},
          {"throughput_ratio", measurement.throughput_ratio},
          {"p99_ratio", measurement.p99_ratio},
          {"tasks", measurement.tasks},
          {"task_seconds", Seconds(measurement.task_elapsed)},
          {"task_entries", measurement.entries},
          {"task_entries_per_second",
           PerSecond(static_cast<double>(measurement.entries), measurement.task_elapsed)}};
}

std::string ToText(const DisturbanceMeasurement& measurement, const Verification& verification,
                   std::size_t batch_items) {
  std::string text = "undisturbed\n" + ToText(measurement.quiet, verification, batch_items) +
                     "\ndisturbed\n" + ToText(measurement.disturbed, {}, batch_items) +
                     Format("\np99 ratio      %.2f\npace ratio     %.3f\n", measurement.p99_ratio,
                            measurement.throughput_ratio);
  if (measurement.task_elapsed.count() != 0) {
    text += Format("tasks          %zu in %.2f s, %llu entries, %.0f per second\n",
                   measurement.tasks, Seconds(measurement.task_elapsed),
                   static_cast<unsigned long long>(measurement.entries),
                   PerSecond(static_cast<double>(measurement.entries), measurement.task_elapsed));
  }
  return text;
}

}  // namespace kms::tools
