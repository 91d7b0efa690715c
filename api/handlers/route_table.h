// SPDX-License-Identifier: Apache-2.0
// The routes of this service: the feature list of its HTTP API.
#pragma once

#include <span>

#include "api/pipeline/route.h"

namespace kms::api {

std::span<const Route> RouteTable();

}  // namespace kms::api
