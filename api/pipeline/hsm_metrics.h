// SPDX-License-Identifier: Apache-2.0
// Metrics of HSM tokens and of the environments they serve.
#pragma once

#include <cstdint>

#include "api/pipeline/metric_families.h"

namespace kms {
class Environments;
}

namespace kms::api {

// `alarms`: how often something of the HSMs was worth waking somebody. Asks no token.
void AddHsmMetrics(const Environments& environments, std::uint64_t alarms, MetricFamilies& out);

}  // namespace kms::api
