// SPDX-License-Identifier: Apache-2.0
// The verbs of `kmsctl key` that move keys in and out; each adds itself to the family.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "tools/kmsctl/commands.h"

namespace kms::tools {

void AddKeyImport(CLI::App& family, Session& session);
void AddKeyExport(CLI::App& family, Session& session);
void AddKeyCertificates(CLI::App& family, Session& session);  // csr, set-certificate
void AddKeyDerive(CLI::App& family, Session& session);
void AddKeyBackup(CLI::App& family, Session& session);
void AddKeyRestoreBackup(CLI::App& family, Session& session);

// "/v1/ENVIRONMENT/keys/NAME" and `verb` behind it.
std::string KeyVerbPath(const std::string& environment, const std::string& name,
                        const std::string& verb);

// Makes `run` what the parsed command does; `arguments` are shared with it.
template <typename Arguments>
void OnParse(CLI::App& command, Session& session, const std::shared_ptr<Arguments>& arguments,
             Status (*run)(Session&, const Arguments&)) {
  command.callback([&session, arguments, run] {
    session.command = [&session, arguments, run] { return run(session, *arguments); };
  });
}

}  // namespace kms::tools
