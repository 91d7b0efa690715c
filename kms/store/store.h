// SPDX-License-Identifier: Apache-2.0
// Store: an ordered, transactional key-value store. Values are opaque: everything secret was sealed
// above. Implementations: sqlite_store (embedded), tests/fakes/memory_store.h (fake); both pass
// tests/contract/store_contract.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms {

// Grows by one with each commit; an entry's revision is that of the commit that last wrote it, but
// for commits that keep it. 0 means "does not exist".
using Revision = std::uint64_t;

struct StoredValue {
  Bytes value;
  Revision revision = 0;
};

struct Mutation {
  std::string path;
  std::optional<Bytes> value;  // absent: delete
  // The revision the path must have for the commit to go through (0: must not exist);
  // absent: whatever is there.
  std::optional<Revision> expected_revision;
  // The entry says what it said before in other bytes (re-sealing): it keeps its revision, so that
  // nobody who read it has to read it again. Only with a value and an expected revision above 0.
  bool keeps_revision = false;
};

struct ListedEntry {
  std::string path;
  Revision revision = 0;
};

// Thread rule: every member may be called from any thread.
// Errors of every call: kUnavailable (disk full, I/O error, busy), kCorrupted (damaged file),
// kOutcomeUnknown (Commit only: it may have happened; drop caches, reread, then answer).
class Store {
 public:
  // Called after each successful commit with the paths it changed, on the committing thread,
  // before Commit returns. Must not call the store and must not block.
  using ChangeListener =
      std::function<void(Revision revision, const std::vector<std::string>& paths)>;

  virtual ~Store() = default;

  // Returns the value, or nullopt when the path does not exist.
  virtual Result<std::optional<StoredValue>> Get(std::string_view path) = 0;

  // Returns at most `limit` (>= 1) entries whose path starts with `prefix` and is bytewise greater
  // than `after` (a full path, or empty), in bytewise order.
  virtual Result<std::vector<ListedEntry>> List(std::string_view prefix, std::string_view after,
                                                std::size_t limit) = 0;

  // Applies all of `mutations` (distinct paths) or none, durably. Returns the new revision.
  // Errors: kConflict when an expected revision does not match.
  virtual Result<Revision> Commit(const std::vector<Mutation>& mutations) = 0;

  // The revision of the last commit; 0 for a new store.
  virtual Result<Revision> CurrentRevision() = 0;

  // Adds a listener for the life of the store. Call before other threads use the store.
  virtual void Subscribe(ChangeListener listener) = 0;
};

}  // namespace kms
