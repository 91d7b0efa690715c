// SPDX-License-Identifier: Apache-2.0
// Migration: one key after the other from the Transit mount of a running Vault or OpenBao to an
// environment, with a proof by samples.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"
#include "tools/kmsctl/session.h"

namespace kms::tools {

struct MigratedKey {
  std::string name;
  std::string type = {};
  std::int64_t latest_version = 0;
  std::string how = {};     // "backup", "export", "there already"; empty: it did not move
  std::int64_t samples = 0;  // that the source made and the destination opened or verified
  std::string problem = {};  // empty: moved, or there already, and proven

  [[nodiscard]] bool good() const { return problem.empty(); }
};

// Thread rule: one thread. The sessions must outlive it.
class Migration {
 public:
  // Paths of the mount and the environment: "/v1/transit", "/v1/prod".
  Migration(Session& source, std::string source_path, Session& destination,
            std::string destination_path)
      : source_(source),
        source_path_(std::move(source_path)),
        destination_(destination),
        destination_path_(std::move(destination_path)) {}

  // The names of the keys at the source. Errors: as Session::List.
  Result<std::vector<std::string>> Names();

  // Moves one key and proves it; a key of that name that is there already is only proven, so that
  // an interrupted migration can be run again. `dry_run` only says what would happen.
  // Errors: only those after which no other key will fare better (no answer, no permission at the
  // destination); what concerns one key is in the result.
  Result<MigratedKey> Move(const std::string& name, bool dry_run);

 private:
  struct Key;

  Result<nlohmann::json> AskSource(std::string_view method, const std::string& rest);
  Result<bool> IsThere(const std::string& name);
  Status Plan(const Key& key, MigratedKey& result);
  Status Transfer(const Key& key, MigratedKey& result);
  Result<std::string> BackupBlob(const Key& key);
  Result<std::string> ExportBlob(const Key& key);
  Result<nlohmann::json> Exported(const std::string& kind, const std::string& name);
  Status Restore(const std::string& name, const std::string& blob);
  Status Prove(const Key& key, MigratedKey& result);
  static Result<bool> Agrees(const Result<nlohmann::json>& answer, const char* member,
                             const nlohmann::json& wanted);
  Result<bool> ProveVersion(const Key& key, std::int64_t version);
  Result<bool> ProveEncryption(const Key& key, std::int64_t version);
  Result<bool> ProveSignature(const Key& key, std::int64_t version);
  Result<bool> ProveHmac(const Key& key, std::int64_t version);

  Session& source_;
  const std::string source_path_;
  Session& destination_;
  const std::string destination_path_;
};

}  // namespace kms::tools
