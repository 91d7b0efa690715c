// SPDX-License-Identifier: Apache-2.0
// From the operator's words to those of the front and the pipeline.
#pragma once

#include <vector>

#include "api/config/config.h"
#include "api/front/front_options.h"
#include "api/pipeline/options.h"
#include "kms/auth/cidr.h"
#include "kms/base/result.h"

namespace kms::api {

// Errors: kInvalidArgument for an address that is not HOST:PORT.
Result<FrontOptions> FrontOptionsFrom(const Config& config);

// Errors: kInvalidArgument for what is no address or CIDR block.
Result<std::vector<CidrBlock>> TrustedProxiesFrom(const ListenerConfig& config);

// With reports and alarms going to the service log.
PipelineOptions PipelineOptionsFrom(const Config& config);

}  // namespace kms::api
