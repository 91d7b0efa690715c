// SPDX-License-Identifier: Apache-2.0
// What the measurements with slow and failing HSMs found, as text and as one JSON object.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tools/bench/hsm_measurement.h"
#include "tools/bench/report.h"

namespace kms::tools {

nlohmann::json ToJson(const ColdMeasurement& measurement);
std::string ToText(const ColdMeasurement& measurement);
nlohmann::json ToJson(const DisturbanceMeasurement& measurement, const Verification& verification,
                      std::size_t batch_items);
std::string ToText(const DisturbanceMeasurement& measurement, const Verification& verification,
                   std::size_t batch_items);

}  // namespace kms::tools
