// SPDX-License-Identifier: Apache-2.0
// What the commands for roles and users of login methods share.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/kmsctl/output.h"
#include "tools/kmsctl/session.h"

namespace kms::tools {

// The token_* settings of a role or user that the command line gives.
struct TokenSettings {
  std::vector<std::string> policies;
  std::optional<std::string> ttl;
  std::optional<std::string> max_ttl;
  std::optional<std::string> period;
  std::optional<std::int64_t> num_uses;
  std::vector<std::string> bound_cidrs;
};

void AddTokenSettings(CLI::App& command, TokenSettings& settings);
// Adds what was given to `body`.
void PutTokenSettings(const TokenSettings& settings, nlohmann::json& body);
// The same settings of an answer, for people.
void AppendTokenSettings(const nlohmann::json& data, std::vector<Field>& fields);

// An array of texts in one cell, separated by ", "; "-" when there are none.
std::string ListCell(const nlohmann::json& object, const char* name);

// --mount, which defaults to the method's own name.
void AddMountOption(CLI::App& command, std::string& mount, const char* method);
// "/v1/auth/MOUNT/rest"; the mount is encoded, `rest` is taken as it is.
std::string AuthPath(const std::string& mount, const std::string& rest);

// "deleted role app", or {"name": …, "deleted": true} with --json.
Status PrintDone(const Session& session, const char* done, std::string_view kind,
                 const std::string& name);
// One name per line, or an array with --json; a hint when there are none.
Status PrintNames(const Session& session, const std::vector<std::string>& names,
                  std::string_view hint);

}  // namespace kms::tools
