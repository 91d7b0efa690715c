// SPDX-License-Identifier: Apache-2.0
// kmsctl completion: reads the parser's tree and prints a completion script.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/kmsctl/command_tree.h"
#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

CommandNode ReadCommandTree(const CLI::App& app) {
  CommandNode node{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    OptionNode entry{{}, option->get_description(), option->get_type_name() == "FILE"};
    for (const std::string& name : option->get_lnames()) {
      entry.names.push_back("--" + name);
    }
    for (const std::string& name : option->get_snames()) {
      entry.names.push_back("-" + name);
    }
    if (!entry.names.empty()) {
      node.options.push_back(std::move(entry));
    }
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    node.commands.push_back(ReadCommandTree(*command));
  }
  return node;
}

void AddCompletionCommand(CLI::App& root, Session& session) {
  CLI::App& command = AddCommand(root, "completion", "Print a completion script for your shell",
                                 "  source <(kmsctl completion bash)\n"
                                 "  kmsctl completion bash > "
                                 "/etc/bash_completion.d/kmsctl\n"
                                 "  kmsctl completion zsh > ~/.zfunc/_kmsctl\n");
  auto shell = std::make_shared<std::string>();
  command.add_option("SHELL", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  command.callback([&session, &root, shell] {
    session.command = [&root, shell] {
      const CommandNode tree = ReadCommandTree(root);
      return Print(*shell == "bash" ? BashCompletion(tree) : ZshCompletion(tree));
    };
  });
}

}  // namespace kms::tools
