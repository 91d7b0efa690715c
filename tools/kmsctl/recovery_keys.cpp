// SPDX-License-Identifier: Apache-2.0
#include "tools/kmsctl/recovery_keys.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "tools/kmsctl/input_output.h"

namespace kms::tools {

Result<nlohmann::json> ReadRecoveryOptions(const RecoveryOptions& options) {
  nlohmann::json recipients = nlohmann::json::object();
  for (const std::string& option : options.keys) {
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == option.size()) {
      return InvalidArgument(
          "a recovery key is given as NAME=FILE, for example alice=alice.pem.pub");
    }
    const std::string name = option.substr(0, equals);
    if (recipients.contains(name)) {
      return InvalidArgument("the holder " + name + " is named twice");
    }
    const PlaintextBuffer content =
        KMS_TRY(ReadInput({.argument = std::nullopt, .file = option.substr(equals + 1)}));
    const std::string_view text = AsText(content.View());
    if (text.find("PRIVATE KEY") != std::string_view::npos) {
      return InvalidArgument(
          "the file of " + name +
          " holds a private key, which stays with its holder; give the public one");
    }
    recipients[name] = text;
  }
  return nlohmann::json{{"threshold", options.threshold}, {"recipients", std::move(recipients)}};
}

}  // namespace kms::tools
