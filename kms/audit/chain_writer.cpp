// SPDX-License-Identifier: Apache-2.0
// ChainWriter: writes batches of records to the audit file as a hash chain, whole or not at all.
#include "kms/audit/chain_writer.h"

#include <algorithm>
#include <utility>

#include "kms/audit/audit_tail.h"
#include "kms/audit/json_text.h"
#include "kms/audit/record.h"
#include "kms/base/ids.h"

namespace kms {
namespace {

constexpr std::size_t kMaxReasonBytes = 512;

std::string NumberMember(std::string_view name, std::uint64_t number) {
  std::string member = ",\"" + std::string(name) + "\":";
  AppendJsonNumber(number, member);
  return member;
}

std::string TextMember(std::string_view name, std::string_view text) {
  std::string member = ",\"" + std::string(name) + "\":";
  AppendJsonString(text, kMaxReasonBytes, member);
  return member;
}

}  // namespace

ChainWriter::ChainWriter(Private, ChainWriterOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

Result<std::unique_ptr<ChainWriter>> ChainWriter::Open(ChainWriterOptions options,
                                                       const Clock& clock) {
  auto writer = std::make_unique<ChainWriter>(Private{}, std::move(options), clock);
  KMS_TRY(writer->OpenExisting());
  return writer;
}

Status ChainWriter::OpenExisting() {
  file_ = KMS_TRY(options_.open_file());
  const AuditTail tail = KMS_TRY(ReadAuditTail(*file_));
  good_bytes_ = tail.whole_bytes;
  head_ = tail.head.value_or(AuditHead{});
  store_revision_ = tail.store_revision;
  next_check_ = clock_.SteadyNow() + options_.check_interval;
  if (!tail.head) {
    Note("log_started", TextMember("log_id", Uuid::Random().ToString()));
  }
  if (tail.torn_bytes != 0) {
    Note("log_repaired", NumberMember("cut_bytes", tail.torn_bytes) +
                             TextMember("cut_sha256", HexEncode(tail.torn_hash)));
  }
  if (notes_.empty()) {
    return Ok();
  }
  // The repair is written over the torn bytes before what is left of them is cut: at no moment
  // are they gone without a record saying so.
  KMS_TRY(WriteLines(AuditBatch{}));
  KMS_TRY(file_->Truncate(good_bytes_));
  return file_->Sync();
}

void ChainWriter::Note(std::string_view type, std::string_view members) {
  std::string note;
  AppendAuditHeading(clock_.Now(), type, note);
  note.append(members);
  notes_.push_back(std::move(note));
}

Status ChainWriter::Write(const AuditBatch& batch) {
  const Status written = TryWrite(batch);
  if (written.has_value()) {
    refused_ = 0;
    failure_.clear();
    return written;
  }
  refused_ += batch.records();
  failure_ = written.error().detail;
  IgnoreError(CutTornPart(), "tried again before the next write");
  return written;
}

Status ChainWriter::TryWrite(const AuditBatch& batch) {
  KMS_TRY(CutTornPart());
  KMS_TRY(FollowFile());
  if (failure_.empty()) {
    return WriteLines(batch);
  }
  Note("log_recovered", NumberMember("refused", refused_) + TextMember("reason", failure_));
  const Status written = WriteLines(batch);
  if (!written.has_value()) {
    notes_.pop_back();
  }
  return written;
}

Status ChainWriter::WriteLines(const AuditBatch& batch) {
  if (notes_.empty() && batch.records() == 0) {
    return Ok();
  }
  lines_.assign(needs_line_feed_ ? "\n" : "");
  AuditHead next = head_;
  std::size_t left = notes_.size() + batch.records();
  const auto append = [&](std::string_view record) {
    --left;
    next = left == 0 ? AppendChainedLine(next, std::string(record) + RevisionMember(), lines_)
                     : AppendChainedLine(next, record, lines_);
  };
  for (const std::string& note : notes_) {
    append(note);
  }
  for (std::size_t index = 0; index < batch.records(); ++index) {
    append(batch.record(index));
  }
  torn_ = true;
  KMS_TRY(file_->WriteAt(good_bytes_, lines_));
  if (options_.durability == AuditDurability::kFsync) {
    KMS_TRY(file_->Sync());
  }
  torn_ = false;
  needs_line_feed_ = false;
  head_ = next;
  good_bytes_ += lines_.size();
  notes_.clear();
  return Ok();
}

std::string ChainWriter::RevisionMember() {
  if (options_.store_revision) {
    store_revision_ = std::max(store_revision_, options_.store_revision());
  }
  return store_revision_ == 0 ? std::string() : NumberMember("store_revision", store_revision_);
}

Status ChainWriter::AcceptStore(std::uint64_t revision, std::uint64_t epoch) {
  Note("store_rollback_accepted", NumberMember("seen_revision", store_revision_) +
                                      (epoch == 0 ? std::string() : NumberMember("epoch", epoch)) +
                                      NumberMember("accepted_revision", revision));
  store_revision_ = revision;
  return WriteLines(AuditBatch{});
}

Status ChainWriter::CutTornPart() {
  if (torn_) {
    KMS_TRY(file_->Truncate(good_bytes_));
    torn_ = false;
  }
  return Ok();
}

// Notices, now and then, that the file is no longer the one the path names, or was changed.
Status ChainWriter::FollowFile() {
  const SteadyTime now = clock_.SteadyNow();
  if (!reopen_requested_ && now < next_check_) {
    return Ok();
  }
  next_check_ = now + options_.check_interval;
  if (reopen_requested_ || !file_->IsStillNamed()) {
    return ContinueInNewFile();
  }
  const std::uint64_t size = KMS_TRY(file_->Size());
  if (size == good_bytes_) {
    return Ok();
  }
  Note("log_disturbed",
       NumberMember("expected_bytes", good_bytes_) + NumberMember("found_bytes", size));
  return GoOnBehind(size);
}

Status ChainWriter::ContinueInNewFile() {
  std::unique_ptr<AuditFile> file = KMS_TRY(options_.open_file());
  const std::uint64_t size = KMS_TRY(file->Size());
  const bool same_file = file_->IsStillNamed();
  file_ = std::move(file);
  reopen_requested_ = false;
  if (same_file && size == good_bytes_) {
    return Ok();
  }
  Note("log_continued", NumberMember("existing_bytes", size));
  return GoOnBehind(size);
}

// What others wrote stays there: the verifier will name it.
Status ChainWriter::GoOnBehind(std::uint64_t size) {
  good_bytes_ = size;
  needs_line_feed_ = false;
  if (size != 0) {
    needs_line_feed_ = KMS_TRY(file_->ReadAt(size - 1, 1)) != "\n";
  }
  return Ok();
}

}  // namespace kms
