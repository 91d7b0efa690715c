// SPDX-License-Identifier: Apache-2.0
// Rendering of tables, fields and JSON.
#include "tools/kmsctl/output.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/input_output.h"

namespace kms::tools {

namespace {

// Characters, not bytes: UTF-8 continuation bytes take no column.
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

void AppendPadded(std::string& line, std::string_view text, std::size_t width) {
  line += text;
  line.append(width - std::min(width, Width(text)), ' ');
}

void AppendRow(std::string& out, const std::vector<std::string>& cells,
               const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    AppendPadded(line, cells[i], widths[i] + 2);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out += line + "\n";
}

}  // namespace

std::string RenderFields(const std::vector<Field>& fields) {
  std::size_t width = 0;
  for (const Field& field : fields) {
    width = std::max(width, Width(field.first));
  }
  std::string out;
  for (const Field& field : fields) {
    AppendPadded(out, field.first + ":", width + 3);
    out += field.second + "\n";
  }
  return out;
}

std::string RenderTable(const Table& table) {
  std::vector<std::size_t> widths;
  for (const std::string& title : table.titles) {
    widths.push_back(Width(title));
  }
  for (const std::vector<std::string>& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], Width(row[i]));
    }
  }
  std::string out;
  AppendRow(out, table.titles, widths);
  for (const std::vector<std::string>& row : table.rows) {
    AppendRow(out, row, widths);
  }
  return out;
}

std::string Printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n' || c == '\t') {
      c = ' ';
    } else if (byte < 0x20 || byte == 0x7f) {
      c = '?';
    }
  }
  return out;
}

std::string Cell(const nlohmann::json& object, std::string_view name) {
  if (!object.is_object()) {
    return "-";
  }
  const auto found = object.find(std::string(name));
  if (found == object.end() || found->is_null()) {
    return "-";
  }
  if (found->is_boolean()) {
    return found->get<bool>() ? "yes" : "no";
  }
  if (found->is_string()) {
    const std::string text = Printable(found->get_ref<const std::string&>());
    return text.empty() ? "-" : text;
  }
  return Printable(ToJsonLine(*found));
}

std::string TimeCell(std::int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  char text[64];
  if (gmtime_r(&time, &parts) == nullptr ||
      std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0) {
    return std::to_string(unix_seconds);
  }
  return text;
}

std::string ToJsonLine(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Status Print(std::string_view text) { return WriteStandardOutput(AsBytes(text)); }

void Note(std::string_view text) {
  const std::string line = std::string(text) + "\n";
  IgnoreError(WriteStandardError(AsBytes(line)), "nobody is left to tell");
}

}  // namespace kms::tools
