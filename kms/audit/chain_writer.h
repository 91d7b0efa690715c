// SPDX-License-Identifier: Apache-2.0
// ChainWriter: writes batches of records to the audit file as a hash chain, whole or not at all.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kms/audit/audit_file.h"
#include "kms/audit/chain.h"
#include "kms/base/clock.h"

namespace kms {

enum class AuditDurability : std::uint8_t {
  kWrite,  // committed when the kernel has it: survives a crash of the process
  kFsync,  // committed when the disk has it: survives a power cut
};

// Records waiting to be written, back to back.
class AuditBatch {
 public:
  void Add(std::string_view members) {
    members_.append(members);
    ends_.push_back(members_.size());
  }
  void Clear() {
    members_.clear();
    ends_.clear();
  }
  [[nodiscard]] std::size_t records() const { return ends_.size(); }
  [[nodiscard]] std::size_t bytes() const { return members_.size(); }
  [[nodiscard]] std::string_view record(std::size_t index) const {
    const std::size_t start = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(members_).substr(start, ends_[index] - start);
  }

 private:
  std::string members_;
  std::vector<std::size_t> ends_;
};

struct ChainWriterOptions {
  AuditFileOpener open_file;
  AuditDurability durability = AuditDurability::kWrite;
  // How often the file's name and size are compared with what was written.
  std::chrono::milliseconds check_interval{1000};
  // The revision of the store now; the last record of each batch carries it, so that a store that
  // is older than its log shows. Empty: none is written. Must not block.
  std::function<std::uint64_t()> store_revision;
};

// Besides callers' records it writes its own, each telling what happened to the log itself:
//   "log_started"   a new chain, with a random id
//   "log_repaired"  bytes of a torn record were cut at start: how many, and their digest
//   "log_recovered" writing works again: how many records were refused meanwhile, and why
//   "log_continued" the file was moved, replaced or reopened; the chain goes on in a new one
//   "log_disturbed" someone else changed the file's size
//   "store_rollback_accepted" an operator went on with a store older than the log
// Thread rule: one thread at a time.
class ChainWriter {
 private:
  struct Private {};

 public:
  // Continues the chain of an existing file, after repairing its end. Errors: kCorrupted,
  // kFailedPrecondition, kUnavailable.
  static Result<std::unique_ptr<ChainWriter>> Open(ChainWriterOptions options, const Clock& clock);

  // `clock` must outlive the writer.
  ChainWriter(Private, ChainWriterOptions options, const Clock& clock);

  // Writes all records or none, and moves the head only when they are all there. After an error
  // the file is cut back to the last good record, at the latest before the next write. An empty
  // batch after an error tries whether writing works again. Errors: kUnavailable.
  Status Write(const AuditBatch& batch);

  // Opens the path again before the next write, as after log rotation.
  void RequestReopen() { reopen_requested_ = true; }

  // The last record written.
  [[nodiscard]] const AuditHead& head() const { return head_; }

  // The newest revision of the store that the log has seen; 0: none. It never goes back but by
  // AcceptStore.
  [[nodiscard]] std::uint64_t store_revision() const { return store_revision_; }
  // Records that a store at `revision` is used although the log has seen a newer one, or the HSM
  // tokens hold a newer `epoch` (0: they hold none).
  Status AcceptStore(std::uint64_t revision, std::uint64_t epoch = 0);

 private:
  Status OpenExisting();
  Status TryWrite(const AuditBatch& batch);
  Status FollowFile();
  Status ContinueInNewFile();
  Status GoOnBehind(std::uint64_t size);
  Status CutTornPart();
  Status WriteLines(const AuditBatch& batch);
  void Note(std::string_view type, std::string_view members);
  std::string RevisionMember();

  const ChainWriterOptions options_;
  const Clock& clock_;
  std::unique_ptr<AuditFile> file_;
  AuditHead head_;
  std::uint64_t store_revision_ = 0;
  std::uint64_t good_bytes_ = 0;  // of the file: whole records, all in the chain
  bool torn_ = false;             // the file may hold more than that
  bool needs_line_feed_ = false;  // what others left behind does not end in one
  bool reopen_requested_ = false;
  SteadyTime next_check_{};
  std::vector<std::string> notes_;  // own records that go before the next batch
  std::string lines_;               // reused
  std::uint64_t refused_ = 0;       // records since the last success
  std::string failure_;             // why the last write failed; empty: it did not
};

}  // namespace kms
