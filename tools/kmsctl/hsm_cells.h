// SPDX-License-Identifier: Apache-2.0
// What the pages about HSM tokens and leases have in common.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace kms::tools {

// Members of an answer; empty when they are absent or something else.
nlohmann::json ArrayMember(const nlohmann::json& object, const char* name);
nlohmann::json ObjectMember(const nlohmann::json& object, const char* name);

// "350ms", "4.2s", "3m10s", "2h05m"; "-" when it is absent.
std::string DurationCell(const nlohmann::json& object, const char* name);
std::string MicrosecondsCell(std::int64_t microseconds);  // "480us", "2.1ms", "1.2s"
// The texts of an array: "a, b"; "-" when there are none.
std::string NamesCell(const nlohmann::json& object, const char* name);

// A group as a table; the first column is the member `name` under `title`.
std::string RenderMembers(const nlohmann::json& members, const char* title, const char* name);

}  // namespace kms::tools
