// SPDX-License-Identifier: Apache-2.0
// What the commands print: tables and fields for people, JSON for programs, notes on stderr.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kms/base/result.h"

namespace kms::tools {

// Column titles, then rows of as many cells; columns are padded to their widest cell.
struct Table {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> rows;
};

using Field = std::pair<std::string, std::string>;

// "name: value" lines, values aligned.
std::string RenderFields(const std::vector<Field>& fields);
std::string RenderTable(const Table& table);

// Text from the server as it may go to a terminal: control characters become '?'.
std::string Printable(std::string_view text);

// JSON values as cells: "-" for what is absent, null or empty, "yes"/"no" for booleans.
std::string Cell(const nlohmann::json& object, std::string_view name);
// Seconds since 1970 as "2026-01-31 12:00:00 UTC".
std::string TimeCell(std::int64_t unix_seconds);

// One line of JSON.
std::string ToJsonLine(const nlohmann::json& value);

// Writes to stdout. Errors: kInternal when stdout is full or closed.
Status Print(std::string_view text);
// A line on stderr for people: what was done, a warning, what to do next.
void Note(std::string_view text);

}  // namespace kms::tools
