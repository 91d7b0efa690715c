// SPDX-License-Identifier: Apache-2.0
// How a key object of the API looks to people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace kms::tools {

// Settings as fields, then a table of the versions that are in use.
std::string RenderKey(const nlohmann::json& key);
// One row for each key object of an array.
std::string RenderKeyTable(const nlohmann::json& keys);

}  // namespace kms::tools
