// SPDX-License-Identifier: Apache-2.0
// Members of the server's answers: what is absent or of another type reads as nothing.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace kms::tools {

std::int64_t IntegerOf(const nlohmann::json& object, const char* name);
bool BooleanOf(const nlohmann::json& object, const char* name);
// A view into `object`.
std::string_view TextOf(const nlohmann::json& object, const char* name);

}  // namespace kms::tools
