// SPDX-License-Identifier: Apache-2.0
// The command families: each adds its verbs to the command line; a parsed verb becomes
// Session::command, which main runs.
#pragma once

#include <string>

#include "tools/kmsctl/session.h"

namespace CLI {
class App;
}

namespace kms::tools {

void AddStatusCommands(CLI::App& root, Session& session);       // status, version
void AddEnvironmentCommands(CLI::App& root, Session& session);  // env …
void AddKeyCommands(CLI::App& root, Session& session);          // key …
// More of key …: import, export, csr, set-certificate, derive, backup, restore-backup. After
// AddKeyCommands.
void AddKeyTransferCommands(CLI::App& root, Session& session);
void AddDataCommands(CLI::App& root, Session& session);         // encrypt, decrypt, rewrap
void AddDataKeyCommand(CLI::App& root, Session& session);       // datakey
void AddKeylessCommands(CLI::App& root, Session& session);      // random, hash
void AddHmacCommands(CLI::App& root, Session& session);         // hmac, verify-hmac
void AddSignCommands(CLI::App& root, Session& session);         // sign, verify
void AddLoginCommands(CLI::App& root, Session& session);        // login …, logout
void AddLimitsCommands(CLI::App& root, Session& session);       // limits …
void AddClientCertificateCommands(CLI::App& root, Session& session);  // cert …, crl …
void AddPolicyCommands(CLI::App& root, Session& session);       // policy …, capabilities
void AddAuthCommands(CLI::App& root, Session& session);         // auth …
void AddAppRoleCommands(CLI::App& root, Session& session);      // approle …
void AddJwtCommands(CLI::App& root, Session& session);          // jwt …
void AddUserCommands(CLI::App& root, Session& session);         // user …
void AddTokenCommands(CLI::App& root, Session& session);        // token …
void AddTokenRoleCommands(CLI::App& tokens, Session& session);  // token role …
void AddApprovalCommands(CLI::App& root, Session& session);     // approve, approvals …
void AddWrappingCommands(CLI::App& root, Session& session);     // wrap, unwrap
void AddHsmCommands(CLI::App& root, Session& session);          // hsm status
void AddHsmTestCommand(CLI::App& family, Session& session);     // hsm test
void AddHsmListCommands(CLI::App& family, Session& session);    // hsm list, show
void AddHsmGroupCommands(CLI::App& family, Session& session);   // hsm add, remove, reload
void AddLeaseCommand(CLI::App& family, Session& session);       // env lease
void AddMasterCommands(CLI::App& root, Session& session);       // master …
void AddRotateEnvironmentKeyCommand(CLI::App& root, Session& session);  // env rotate-key, rotate-all; after env
void AddTaskCommands(CLI::App& root, Session& session);         // task …
void AddScrubCommands(CLI::App& root, Session& session);        // scrub …
void AddRecoveryCommands(CLI::App& environments, Session& session);  // env recovery …
void AddRecoverCommands(CLI::App& root, Session& session);      // recover …
void AddBackupCommands(CLI::App& root, Session& session);       // backup …
void AddMigrateCommand(CLI::App& root, Session& session);       // migrate vault
void AddCompletionCommand(CLI::App& root, Session& session);    // completion

// A verb of `parent` whose --help ends with `examples`.
CLI::App& AddCommand(CLI::App& parent, const std::string& name, const std::string& description,
                     const std::string& examples);
// --env/-e, which defaults to KMS_ENV, else "dev".
void AddEnvironmentOption(CLI::App& command, std::string& environment);
void AddYesOption(CLI::App& command, bool& yes);

// "/v1/ENVIRONMENT/rest"; names are encoded, `rest` is taken as it is.
std::string EnvironmentPath(const std::string& environment, const std::string& rest);

}  // namespace kms::tools
