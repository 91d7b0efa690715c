// SPDX-License-Identifier: Apache-2.0
// The mount object of sys/mounts, and the settings an environment takes from one (transit-api 9.5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/pipeline/json_body.h"
#include "api/pipeline/json_writer.h"
#include "kms/operations/environment.h"

namespace kms::api {

// The members of a mount object, without braces closed.
void AppendMount(const Environment& environment, JsonObject& object, std::string& out);

// The members of a tune object.
void AppendTune(const Environment& environment, JsonObject& object, std::string& out);

// Applies `options` ({"protected":"true", …}) to `settings`. Errors: kInvalidArgument for a value
// that is not text, number or boolean, or a bad one for the options we know.
Status ApplyOptions(JsonView options, EnvironmentSettings& settings);

// The HSM tokens that are to open a new environment: the option "hsms", which is no setting and is
// passed over by ApplyOptions. Empty: not said. Errors: kInvalidArgument for what is no list.
inline constexpr std::string_view kHsmsOption = "hsms";
Result<std::vector<std::string>> ParseHsmsOption(JsonView options);

// One lease time in seconds. Errors: kInvalidArgument "unable to parse NAME as a duration".
Result<std::int64_t> ParseLease(std::string_view name, std::string_view text);

// Applies the lease times of `config`. Errors: kInvalidArgument.
Status ApplyLeases(JsonView config, EnvironmentSettings& settings);

}  // namespace kms::api
