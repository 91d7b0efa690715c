// SPDX-License-Identifier: Apache-2.0
// The measurements: a plain run, one against the ceiling and one against noise, in alternating
// slices.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "kms/base/result.h"
#include "tools/bench/load_group.h"
#include "tools/bench/server_process.h"
#include "tools/bench/statistics.h"

namespace kms::tools {

struct MeasurementOptions {
  Mix mix{1, 0, 0, 0};
  std::chrono::nanoseconds duration{0};
  std::chrono::nanoseconds warmup{0};
  std::optional<double> rate;
  std::optional<int> server_pid;
  std::size_t threads = 1;
};

struct Measurement {
  LoadResult load;
  std::optional<std::chrono::nanoseconds> server_cpu;  // during the measured time
  std::optional<ProcessUsage> server;                  // after it
  double own_cpu_share = 0;                            // of one core for each thread
};

// Warms up, then runs the mix. Errors: as LoadLoop::Run and ReadProcessUsage.
Result<Measurement> MeasurePlain(LoadGroup& group, const MeasurementOptions& options);

struct CeilingMeasurement {
  Measurement mix;          // all slices of the mix together
  Measurement ceiling;      // all slices of the ceiling together
  Interval mix_per_second;  // medians over rounds
  Interval ceiling_per_second;
  Interval throughput_ratio;           // mix / ceiling
  std::optional<Interval> mix_cpu_us;  // server CPU per request
  std::optional<Interval> ceiling_cpu_us;
  std::optional<Interval> cpu_ratio;  // mix / ceiling
  std::size_t rounds = 0;
};

struct NoiseMeasurement {
  Measurement quiet;      // all slices without noise together
  Measurement disturbed;  // all slices with it
  LoadResult noise;       // what the noisy principal was answered
  Interval quiet_p99_us;  // medians over rounds
  Interval disturbed_p99_us;
  Interval p99_ratio;  // disturbed / quiet
  std::size_t rounds = 0;
};

// Rounds of four slices, quiet - disturbed - disturbed - quiet: the plan runs at its rate in all of
// them, and in the disturbed ones `noise` sends all it can. The ratios are those of rounds.
// Errors: as MeasurePlain.
Result<NoiseMeasurement> MeasureNoise(LoadGroup& group, LoadGroup& noise,
                                      const MeasurementOptions& options);

// Rounds of four slices, mix - ceiling - ceiling - mix, so that a machine that slowly changes its
// pace favours neither. The ratios are those of rounds. Errors: as MeasurePlain.
Result<CeilingMeasurement> MeasureAgainstCeiling(LoadGroup& group,
                                                 const MeasurementOptions& options);

}  // namespace kms::tools
