// SPDX-License-Identifier: Apache-2.0
// What the command families share: verbs with examples, common options, paths.
#include "tools/kmsctl/commands.h"

#include <CLI/CLI.hpp>

#include "tools/common/server_address.h"

namespace kms::tools {

CLI::App& AddCommand(CLI::App& parent, const std::string& name, const std::string& description,
                     const std::string& examples) {
  CLI::App& command = *parent.add_subcommand(name, description);
  command.footer(
      "Examples:\n" + examples +
      "\nGlobal options (--address, --token-file, --ca-file, --timeout, --json) may stand "
      "anywhere;\n`kmsctl --help` explains them and the exit statuses.");
  command.fallthrough();
  return command;
}

void AddEnvironmentOption(CLI::App& command, std::string& environment) {
  environment = FirstOfEnvironment("KMS_ENV", "", "dev");
  command.add_option("-e,--env", environment, "Environment; default KMS_ENV, else dev")
      ->type_name("NAME");
}

void AddYesOption(CLI::App& command, bool& yes) {
  command.add_flag("-y,--yes", yes, "Do not ask for confirmation");
}

std::string EnvironmentPath(const std::string& environment, const std::string& rest) {
  return "/v1/" + EncodePath(environment) + "/" + rest;
}

}  // namespace kms::tools
