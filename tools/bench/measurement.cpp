// SPDX-License-Identifier: Apache-2.0
// Runs plans and reads the server's CPU around them.
#include "tools/bench/measurement.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

namespace kms::tools {

namespace {

constexpr std::chrono::milliseconds kSlice{200};
constexpr std::size_t kSlicesPerRound = 4;
constexpr std::size_t kMinimumRounds = 3;

double Seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

Result<Measurement> RunPlan(LoadGroup& group, const LoadPlan& plan,
                            const MeasurementOptions& options) {
  Measurement measurement;
  std::chrono::nanoseconds cpu_before{0};
  if (options.server_pid.has_value()) {
    cpu_before = KMS_TRY(ReadProcessUsage(*options.server_pid)).cpu;
  }
  const std::chrono::nanoseconds own_before = OwnCpu();
  measurement.load = KMS_TRY(group.Run(plan));
  const std::chrono::nanoseconds own = OwnCpu() - own_before;
  measurement.own_cpu_share =
      Seconds(own) / Seconds(measurement.load.elapsed) / static_cast<double>(options.threads);
  if (options.server_pid.has_value()) {
    measurement.server = KMS_TRY(ReadProcessUsage(*options.server_pid));
    measurement.server_cpu = measurement.server->cpu - cpu_before;
  }
  return measurement;
}

Status WarmUp(LoadGroup& group, const MeasurementOptions& options) {
  if (options.warmup.count() == 0) {
    return Ok();
  }
  LoadPlan plan;
  plan.mix = options.mix;
  plan.duration = options.warmup;
  KMS_TRY(group.Run(plan));
  return Ok();
}

// Adds `slice` to `total`; shares of CPU are weighted by time.
void Accumulate(Measurement& total, const Measurement& slice) {
  const double before = Seconds(total.load.elapsed);
  const double added = Seconds(slice.load.elapsed);
  total.own_cpu_share =
      (total.own_cpu_share * before + slice.own_cpu_share * added) / (before + added);
  const std::chrono::nanoseconds elapsed = total.load.elapsed + slice.load.elapsed;
  total.load.Add(slice.load);
  total.load.elapsed = elapsed;
  if (slice.server_cpu.has_value()) {
    total.server_cpu = total.server_cpu.value_or(std::chrono::nanoseconds(0)) + *slice.server_cpu;
    total.server = slice.server;
  }
}

double PerSecond(const Measurement& measurement) {
  return static_cast<double>(measurement.load.answers) / Seconds(measurement.load.elapsed);
}

double CpuMicroseconds(const Measurement& measurement) {
  return Seconds(*measurement.server_cpu) * 1e6 /
         static_cast<double>(std::max<std::uint64_t>(1, measurement.load.answers));
}

// What each round found, in the same order.
struct Rounds {
  std::vector<double> mix_per_second;
  std::vector<double> ceiling_per_second;
  std::vector<double> throughput_ratio;
  std::vector<double> mix_cpu;
  std::vector<double> ceiling_cpu;
  std::vector<double> cpu_ratio;

  void Add(const Measurement& mix, const Measurement& ceiling) {
    mix_per_second.push_back(PerSecond(mix));
    ceiling_per_second.push_back(PerSecond(ceiling));
    throughput_ratio.push_back(mix_per_second.back() / ceiling_per_second.back());
    if (mix.server_cpu.has_value() && ceiling.server_cpu.has_value()) {
      mix_cpu.push_back(CpuMicroseconds(mix));
      ceiling_cpu.push_back(CpuMicroseconds(ceiling));
      cpu_ratio.push_back(mix_cpu.back() / std::max(1e-9, ceiling_cpu.back()));
    }
  }
};

// Where there is time for it, long enough for a 99th percentile at a few hundred requests a second.
std::chrono::nanoseconds NoiseSlice(std::chrono::nanoseconds duration) {
  constexpr std::chrono::nanoseconds kShortest = std::chrono::milliseconds(50);
  constexpr std::chrono::nanoseconds kLongest = std::chrono::seconds(2);
  return std::clamp<std::chrono::nanoseconds>(duration / (kMinimumRounds * kSlicesPerRound),
                                              kShortest, kLongest);
}

// One slice at the plan's rate while `noise` sends all it can.
Result<Measurement> RunDisturbed(LoadGroup& group, LoadGroup& noise, const LoadPlan& plan,
                                 const MeasurementOptions& options, LoadResult& noise_total) {
  LoadPlan blast = plan;
  blast.rate.reset();
  std::optional<Result<LoadResult>> made;
  std::optional<Result<Measurement>> measured;
  {
    const std::jthread neighbour([&] { made.emplace(noise.Run(blast)); });
    measured.emplace(RunPlan(group, plan, options));
  }
  const LoadResult answered = KMS_TRY(*std::move(made));
  const std::chrono::nanoseconds elapsed = noise_total.elapsed + answered.elapsed;
  noise_total.Add(answered);
  noise_total.elapsed = elapsed;
  return *std::move(measured);
}

double P99Microseconds(const Measurement& measurement) {
  return Seconds(measurement.load.latency.Quantile(0.99)) * 1e6;
}

}  // namespace

Result<NoiseMeasurement> MeasureNoise(LoadGroup& group, LoadGroup& noise,
                                      const MeasurementOptions& options) {
  KMS_TRY(WarmUp(group, options));
  LoadPlan plan;
  plan.mix = options.mix;
  plan.duration = NoiseSlice(options.duration);
  plan.rate = options.rate;

  NoiseMeasurement total;
  total.rounds = std::max<std::size_t>(
      kMinimumRounds,
      static_cast<std::size_t>(options.duration / (plan.duration * kSlicesPerRound)));
  std::vector<double> quiet_p99;
  std::vector<double> disturbed_p99;
  std::vector<double> ratios;
  for (std::size_t round = 0; round < total.rounds; ++round) {
    Measurement quiet = KMS_TRY(RunPlan(group, plan, options));
    Measurement disturbed = KMS_TRY(RunDisturbed(group, noise, plan, options, total.noise));
    const Measurement more = KMS_TRY(RunDisturbed(group, noise, plan, options, total.noise));
    Accumulate(disturbed, more);
    const Measurement last = KMS_TRY(RunPlan(group, plan, options));
    Accumulate(quiet, last);
    quiet_p99.push_back(P99Microseconds(quiet));
    disturbed_p99.push_back(P99Microseconds(disturbed));
    ratios.push_back(disturbed_p99.back() / std::max(1.0, quiet_p99.back()));
    Accumulate(total.quiet, quiet);
    Accumulate(total.disturbed, disturbed);
  }
  total.quiet_p99_us = MedianWithInterval(quiet_p99);
  total.disturbed_p99_us = MedianWithInterval(disturbed_p99);
  total.p99_ratio = MedianWithInterval(ratios);
  return total;
}

Result<Measurement> MeasurePlain(LoadGroup& group, const MeasurementOptions& options) {
  KMS_TRY(WarmUp(group, options));
  LoadPlan plan;
  plan.mix = options.mix;
  plan.duration = options.duration;
  plan.rate = options.rate;
  return RunPlan(group, plan, options);
}

Result<CeilingMeasurement> MeasureAgainstCeiling(LoadGroup& group,
                                                 const MeasurementOptions& options) {
  KMS_TRY(WarmUp(group, options));
  LoadPlan mix_plan;
  mix_plan.mix = options.mix;
  mix_plan.duration = kSlice;
  LoadPlan ceiling_plan = mix_plan;
  ceiling_plan.ceiling = true;

  CeilingMeasurement total;
  total.rounds = std::max<std::size_t>(
      kMinimumRounds, static_cast<std::size_t>(options.duration / (kSlice * kSlicesPerRound)));
  Rounds rounds;
  for (std::size_t round = 0; round < total.rounds; ++round) {
    Measurement mix = KMS_TRY(RunPlan(group, mix_plan, options));
    Measurement ceiling = KMS_TRY(RunPlan(group, ceiling_plan, options));
    const Measurement second_ceiling = KMS_TRY(RunPlan(group, ceiling_plan, options));
    Accumulate(ceiling, second_ceiling);
    const Measurement second_mix = KMS_TRY(RunPlan(group, mix_plan, options));
    Accumulate(mix, second_mix);
    rounds.Add(mix, ceiling);
    Accumulate(total.mix, mix);
    Accumulate(total.ceiling, ceiling);
  }
  total.mix_per_second = MedianWithInterval(rounds.mix_per_second);
  total.ceiling_per_second = MedianWithInterval(rounds.ceiling_per_second);
  total.throughput_ratio = MedianWithInterval(rounds.throughput_ratio);
  if (!rounds.cpu_ratio.empty()) {
    total.mix_cpu_us = MedianWithInterval(rounds.mix_cpu);
    total.ceiling_cpu_us = MedianWithInterval(rounds.ceiling_cpu);
    total.cpu_ratio = MedianWithInterval(rounds.cpu_ratio);
  }
  return total;
}

}  // namespace kms::tools
