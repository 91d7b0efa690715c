// SPDX-License-Identifier: Apache-2.0
// The command line as plain data, read from the parser itself, so that completion scripts cannot
// differ from it.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace kms::tools {

struct OptionNode {
  std::vector<std::string> names;  // with dashes
  std::string description;
  bool takes_file = false;
};

struct CommandNode {
  std::string name;
  std::string description;
  std::vector<OptionNode> options;
  std::vector<CommandNode> commands;
};

CommandNode ReadCommandTree(const CLI::App& app);

// Scripts for `source <(kmsctl completion bash)` and the like. The options of the root are offered
// everywhere.
std::string BashCompletion(const CommandNode& root);
std::string ZshCompletion(const CommandNode& root);

}  // namespace kms::tools
