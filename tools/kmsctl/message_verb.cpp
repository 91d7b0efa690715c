// SPDX-License-Identifier: Apache-2.0
#include "tools/kmsctl/message_verb.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/output.h"

namespace kms::tools {

void AddInputOptions(CLI::App& command, const std::string& name, InputSource& input) {
  command.add_option(name, input.argument, "The input; without it --in, else standard input");
  command.add_option("-i,--in", input.file, "Read the input from this file")->type_name("FILE");
}

void AddKeyVersionOption(CLI::App& command, std::int64_t& key_version) {
  command.add_option("--key-version", key_version, "Use this version instead of the latest")
      ->type_name("N");
}

Error NoSuchMember(std::string_view name) {
  return MakeError(ErrorCode::kInternal, "the answer has no " + std::string(name) +
                                             ": is this the address of a key service?");
}

Status PrintMember(const Session& session, const nlohmann::json& data, const std::string& name) {
  if (!data.contains(name) || !data[name].is_string()) {
    return NoSuchMember(name);
  }
  return Print((session.options.json ? ToJsonLine(data) : data[name].get<std::string>()) + "\n");
}

Status PrintValidity(const Session& session, const nlohmann::json& data,
                     const std::string& refusal) {
  if (!data.contains("valid") || !data["valid"].is_boolean()) {
    return NoSuchMember("valid");
  }
  if (!data["valid"].get<bool>()) {
    return MakeError(ErrorCode::kDecryptionFailed, refusal);
  }
  return Print(session.options.json ? ToJsonLine(data) + "\n" : "valid\n");
}

}  // namespace kms::tools
