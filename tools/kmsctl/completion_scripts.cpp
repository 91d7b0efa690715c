// SPDX-License-Identifier: Apache-2.0
// Writes completion scripts from a command tree.
#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tools/kmsctl/command_tree.h"

namespace kms::tools {

namespace {

// Calls `use` for each command with its path ("" for the root, "key rotate" for a leaf).
void Walk(const CommandNode& node, const std::string& path,
          const std::function<void(const CommandNode&, const std::string&)>& use) {
  use(node, path);
  for (const CommandNode& command : node.commands) {
    Walk(command, path.empty() ? command.name : path + " " + command.name, use);
  }
}

// Shell patterns, one for each step from a command to one of its own: " key", "key rotate".
std::string StepPatterns(const CommandNode& root) {
  std::string patterns;
  Walk(root, "", [&patterns](const CommandNode& node, const std::string& path) {
    for (const CommandNode& command : node.commands) {
      patterns += (patterns.empty() ? "\"" : "|\"") + path + " " + command.name + "\"";
    }
  });
  return patterns;
}

std::string FileOptionPatterns(const CommandNode& root) {
  std::set<std::string> names;
  Walk(root, "", [&names](const CommandNode& node, const std::string&) {
    for (const OptionNode& option : node.options) {
      if (option.takes_file) {
        names.insert(option.names.begin(), option.names.end());
      }
    }
  });
  std::string patterns;
  for (const std::string& name : names) {
    patterns += (patterns.empty() ? "" : "|") + name;
  }
  return patterns;
}

// 'name:description' for zsh, quotes and colons escaped.
std::string Described(std::string_view name, std::string_view description) {
  std::string entry = "'" + std::string(name) + ":";
  for (const char c : description) {
    if (c == '\'') {
      entry += "'\\''";
    } else if (c == ':' || c == '\\') {
      entry += std::string("\\") + c;
    } else {
      entry += c;
    }
  }
  return entry + "'";
}

// What can be typed at `node`: its own options, then those of the root, each once.
std::vector<OptionNode> OptionsAt(const CommandNode& node, const CommandNode& root) {
  std::vector<OptionNode> options = node.options;
  for (const OptionNode& option : root.options) {
    const auto is_same = [&option](const OptionNode& own) { return own.names == option.names; };
    if (std::ranges::none_of(node.options, is_same)) {
      options.push_back(option);
    }
  }
  return options;
}

std::string BashWords(const CommandNode& node, const CommandNode& root) {
  std::string words;
  for (const CommandNode& command : node.commands) {
    words += command.name + " ";
  }
  for (const OptionNode& option : OptionsAt(node, root)) {
    for (const std::string& name : option.names) {
      words += name + " ";
    }
  }
  words.pop_back();
  return words;
}

std::string ZshCandidates(const CommandNode& node, const CommandNode& root) {
  std::string candidates;
  for (const CommandNode& command : node.commands) {
    candidates += "\n      " + Described(command.name, command.description);
  }
  for (const OptionNode& option : OptionsAt(node, root)) {
    candidates += "\n      " + Described(option.names.front(), option.description);
  }
  return candidates;
}

}  // namespace

std::string BashCompletion(const CommandNode& root) {
  std::string script =
      "# bash completion for kmsctl, made by `kmsctl completion bash`\n"
      "_kmsctl() {\n"
      "  local cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
      "  local where=\"\" words=\"\" i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \"$where ${COMP_WORDS[i]}\" in\n"
      "      " +
      StepPatterns(root) +
      ")\n"
      "        where=\"${where:+$where }${COMP_WORDS[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$prev\" in\n"
      "    " +
      FileOptionPatterns(root) +
      ")\n"
      "      COMPREPLY=($(compgen -f -- \"$cur\"))\n"
      "      return ;;\n"
      "  esac\n"
      "  case \"$where\" in\n";
  Walk(root, "", [&script, &root](const CommandNode& node, const std::string& path) {
    script += "    \"" + path + "\") words=\"" + BashWords(node, root) + "\" ;;\n";
  });
  return script +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "}\n"
         "complete -F _kmsctl kmsctl\n";
}

std::string ZshCompletion(const CommandNode& root) {
  std::string script =
      "#compdef kmsctl\n"
      "# zsh completion for kmsctl, made by `kmsctl completion zsh`\n"
      "_kmsctl() {\n"
      "  local where=\"\" i\n"
      "  local -a candidates\n"
      "  for ((i = 2; i < CURRENT; i++)); do\n"
      "    case \"$where ${words[i]}\" in\n"
      "      " +
      StepPatterns(root) +
      ")\n"
      "        where=\"${where:+$where }${words[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"${words[CURRENT-1]}\" in\n"
      "    " +
      FileOptionPatterns(root) +
      ")\n"
      "      _files\n"
      "      return ;;\n"
      "  esac\n"
      "  case \"$where\" in\n";
  Walk(root, "", [&script, &root](const CommandNode& node, const std::string& path) {
    script += "    \"" + path + "\") candidates=(" + ZshCandidates(node, root) + ") ;;\n";
  });
  return script +
         "  esac\n"
         "  _describe kmsctl candidates\n"
         "}\n"
         "if [ \"$funcstack[1]\" = \"_kmsctl\" ]; then\n"
         "  _kmsctl \"$@\"\n"
         "else\n"
         "  compdef _kmsctl kmsctl\n"
         "fi\n";
}

}  // namespace kms::tools
