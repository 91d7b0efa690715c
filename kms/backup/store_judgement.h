// SPDX-License-Identifier: Apache-2.0
// StoreJudgement: what store, audit log and HSM tokens say of each other before anything is served:
// whether one of them is older than it should be (failures D12), and whether entries are missing
// (D11).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kms/backup/epochs.h"
#include "kms/backup/sys_store.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/hsm_registry.h"
#include "kms/store/sqlite_store.h"

namespace kms {

struct StoreJudgement {
  Revision revision = 0;          // of the store's entries
  std::uint64_t seen_by_log = 0;  // the newest that the audit log has seen
  EpochReading epochs;            // what the tokens say
  DigestReport digest;
  std::optional<SecretBytes> digest_key;  // nullopt: there is none yet
  std::unique_ptr<SysStore> sys;          // null: the store is new

  [[nodiscard]] bool older_than_log() const { return revision < seen_by_log; }
  [[nodiscard]] bool older_than_token() const { return revision < epochs.highest(); }
  // Entries were changed past the service, or what would show it is gone.
  [[nodiscard]] bool entries_differ() const;
  // Tokens that were set back.
  [[nodiscard]] std::vector<TokenEpoch> older_tokens() const;

  // How many commits may be gone.
  [[nodiscard]] std::uint64_t lost_commits() const;
  // Whether the store may be used without being accepted by name. Errors: kCorrupted, for
  // operators.
  [[nodiscard]] Status Verdict() const;
};

// Opens `sys`, asks every token and reads every entry. `timeout` is that of one HSM call.
// Errors: what keeps `sys` from being opened.
Result<StoreJudgement> JudgeStore(SqliteStore& store, HsmRegistry& hsms, std::uint64_t seen_by_log,
                                  std::chrono::milliseconds timeout);

// "policies of sys: 1 of 4 entries is gone". `names` is asked for the name of an environment.
std::string DescribeDifference(const DirectoryDifference& difference, const Uuid& sys_id);

}  // namespace kms
