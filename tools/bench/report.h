// SPDX-License-Identifier: Apache-2.0
// What a run found, as text for people and as one JSON object for programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tools/bench/measurement.h"

namespace kms::tools {

// `verification` says what became of the sampled answers.
struct Verification {
  std::size_t checked = 0;
  std::size_t wrong = 0;
};

nlohmann::json ToJson(const Measurement& measurement, const Verification& verification,
                      std::size_t batch_items);
nlohmann::json ToJson(const CeilingMeasurement& measurement, const Verification& verification,
                      std::size_t batch_items);
nlohmann::json ToJson(const NoiseMeasurement& measurement, const Verification& verification,
                      std::size_t batch_items);
std::string ToText(const Measurement& measurement, const Verification& verification,
                   std::size_t batch_items);
std::string ToText(const NoiseMeasurement& measurement, const Verification& verification,
                   std::size_t batch_items);
std::string ToText(const CeilingMeasurement& measurement, const Verification& verification,
                   std::size_t batch_items);

// True when every answer was 200, complete and right.
bool IsClean(const LoadResult& load, const Verification& verification);

}  // namespace kms::tools
