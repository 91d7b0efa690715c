// SPDX-License-Identifier: Apache-2.0
#include "tools/kmsctl/key_transfer_commands.h"

namespace kms::tools {

std::string KeyVerbPath(const std::string& environment, const std::string& name,
                        const std::string& verb) {
  return EnvironmentPath(environment, "keys/" + EncodePathSegment(name) + verb);
}

void AddKeyTransferCommands(CLI::App& root, Session& session) {
  CLI::App& family = *root.get_subcommand("key");
  AddKeyImport(family, session);
  AddKeyExport(family, session);
  AddKeyCertificates(family, session);
  AddKeyDerive(family, session);
  AddKeyBackup(family, session);
  AddKeyRestoreBackup(family, session);
}

}  // namespace kms::tools
