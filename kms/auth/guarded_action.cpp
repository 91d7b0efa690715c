// SPDX-License-Identifier: Apache-2.0
// The table of guarded actions and how an environment's option names them.
#include "kms/auth/guarded_action.h"

#include <algorithm>
#include <array>
#include <utility>

namespace kms {

namespace {

constexpr std::array kNames = {
    std::pair{GuardedAction::kDelete, std::string_view("delete")},
    std::pair{GuardedAction::kTrim, std::string_view("trim")},
    std::pair{GuardedAction::kExport, std::string_view("export")},
    std::pair{GuardedAction::kBackup, std::string_view("backup")},
    std::pair{GuardedAction::kMinDecryptionVersion, std::string_view("min_decryption_version")},
    std::pair{GuardedAction::kUnprotect, std::string_view("unprotect")},
    std::pair{GuardedAction::kUnseal, std::string_view("unseal")},
    std::pair{GuardedAction::kRetireMaster, std::string_view("retire_master")},
    std::pair{GuardedAction::kRecovery, std::string_view("recovery")},
};
constexpr std::string_view kAll = "all";

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

Error UnknownAction() {
  std::string names;
  for (const auto& [action, name] : kNames) {
    names += std::string(name) + ", ";
  }
  return InvalidArgument("option \"" + std::string(kRequireApprovalOption) +
                         "\" must be a list of " + names + "or \"all\"");
}

}  // namespace

std::string_view GuardedActionName(GuardedAction action) {
  for (const auto& [known, name] : kNames) {
    if (known == action) {
      return name;
    }
  }
  return "unknown";
}

std::optional<GuardedAction> ParseGuardedAction(std::string_view name) {
  for (const auto& [action, known] : kNames) {
    if (known == name) {
      return action;
    }
  }
  return std::nullopt;
}

Result<GuardedActions> GuardedActions::Parse(std::string_view text) {
  GuardedActions actions;
  text = Trimmed(text);
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view name = Trimmed(text.substr(0, comma));
    const std::optional<GuardedAction> action = ParseGuardedAction(name);
    if (!action && name != kAll) {
      return UnknownAction();
    }
    for (const auto& [known, known_name] : kNames) {
      if (name == kAll || known == action) {
        actions.Add(known);
      }
    }
    const bool comma_at_the_end = comma + 1 == text.size();
    if (comma_at_the_end) {
      return UnknownAction();
    }
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return actions;
}

std::string GuardedActions::ToText() const {
  std::string text;
  for (const auto& [action, name] : kNames) {
    if (Has(action)) {
      text += (text.empty() ? "" : ",") + std::string(name);
    }
  }
  return text;
}

}  // namespace kms
