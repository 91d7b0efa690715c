// SPDX-License-Identifier: Apache-2.0
// EpochRecord, format 1: 'E' | 1 | value(8, big-endian) | serial text (4-byte length)
#include "kms/backup/epochs.h"

#include <algorithm>
#include <utility>

#include "kms/base/record_codec.h"
#include "kms/master/epoch_counter.h"
#include "kms/master/guarded_device.h"

namespace kms {

namespace {

constexpr char kKind = 'E';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kWhat = "epoch record";

Result<EpochRecord> ReadRecord(SealedStore& sys, const std::string& hsm) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(EpochPath(hsm)));
  return entry ? EpochRecord::Decode(entry->value.View()) : Result<EpochRecord>(EpochRecord());
}

// What one token says; nullopt when it does not answer or keeps no epochs.
std::optional<TokenEpoch> AskToken(HsmRegistry& hsms, const std::string& hsm, const Uuid& sys_id,
                                   std::chrono::milliseconds timeout) {
  const std::shared_ptr<GuardedDevice> device = hsms.Find(hsm);
  if (device == nullptr || device->epochs() == nullptr) {
    return std::nullopt;
  }
  const auto next = [&] {
    return device->DeadlineFrom(std::chrono::steady_clock::now(), timeout);
  };
  const Result<DeviceDescription> description = device->Describe(next());
  if (!description.has_value()) {
    return std::nullopt;
  }
  const Result<std::optional<std::uint64_t>> value = device->epochs()->ReadEpoch(sys_id, next());
  if (!value.has_value()) {
    return std::nullopt;
  }
  return TokenEpoch{
      .hsm = hsm, .serial = description->token_serial, .value = value->value_or(0), .recorded = 0};
}

std::string Figures(const TokenEpoch& token, std::uint64_t expected) {
  return "HSM " + token.hsm + " holds epoch " + std::to_string(token.value) + ", but " +
         std::to_string(expected);
}

}  // namespace

Bytes EpochRecord::Encode() const {
  RecordWriter writer(kKind, kFormat);
  writer.Put(value);
  writer.PutText(token_serial);
  return writer.Take();
}

Result<EpochRecord> EpochRecord::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, kWhat));
  EpochRecord record;
  record.value = reader.Get<std::uint64_t>();
  record.token_serial = reader.GetText();
  if (!reader.Finished()) {
    return DamagedRecord(kWhat, "its length is wrong");
  }
  return record;
}

std::uint64_t EpochReading::highest() const {
  std::uint64_t highest = 0;
  for (const TokenEpoch& token : tokens) {
    highest = std::max(highest, token.value);
  }
  return highest;
}

Result<EpochReading> ReadEpochs(SealedStore& sys, const Uuid& sys_id, HsmRegistry& hsms,
                                std::chrono::milliseconds timeout) {
  EpochReading reading;
  for (const std::string& hsm : hsms.Names()) {
    std::optional<TokenEpoch> token = AskToken(hsms, hsm, sys_id, timeout);
    if (!token) {
      reading.silent.push_back(hsm);
      continue;
    }
    const EpochRecord record = KMS_TRY(ReadRecord(sys, hsm));
    token->recorded = record.token_serial == token->serial ? record.value : 0;
    reading.tokens.push_back(*std::move(token));
  }
  return reading;
}

Status ForgetEpoch(SealedStore& sys, const std::string& hsm) {
  std::vector<SealedMutation> mutations;
  mutations.push_back(
      {.path = EpochPath(hsm), .value = std::nullopt, .expected_revision = std::nullopt});
  KMS_TRY(sys.Commit(std::move(mutations)));
  return Ok();
}

std::uint64_t Epochs::epoch() const {
  const ScopedLock lock(mutex_);
  return epoch_;
}

Result<Epochs::Raised> Epochs::Raise() {
  const ScopedLock lock(mutex_);
  const Revision revision = KMS_TRY(store_.CurrentRevision());
  if (revision == settled_ && behind_ == 0) {
    return Raised{.epoch = epoch_, .problems = {}, .moved = false};
  }
  // Nothing new: those that were missed are raised to where the others are.
  const bool moved = revision != settled_;
  Raised raised = KMS_TRY(RaiseTo(moved ? revision : epoch_, revision));
  raised.moved = moved;
  return raised;
}

Result<Epochs::Raised> Epochs::RaiseTo(Revision epoch, Revision current) {
  Raised raised{.epoch = epoch_, .problems = {}};
  std::vector<SealedMutation> records;
  for (const std::string& hsm : hsms_.Names()) {
    KMS_TRY(RaiseOne(hsm, epoch, records, raised.problems));
  }
  behind_ = raised.problems.size();
  if (records.empty()) {
    return raised;
  }
  // After the tokens: what is recorded was really written.
  const Revision committed = KMS_TRY(sys_.Commit(std::move(records)));
  // Commits of others in between are new.
  settled_ = committed == current + 1 ? committed : 0;
  epoch_ = epoch;
  raised.epoch = epoch_;
  return raised;
}

Status Epochs::RaiseOne(const std::string& hsm, Revision revision,
                        std::vector<SealedMutation>& records, std::vector<std::string>& problems) {
  const std::shared_ptr<GuardedDevice> device = hsms_.Find(hsm);
  if (device == nullptr || device->epochs() == nullptr) {
    return Ok();  // nothing to keep up to date
  }
  const std::optional<TokenEpoch> token =
      device->WouldTry() ? AskToken(hsms_, hsm, sys_id_, timeout_) : std::nullopt;
  if (!token) {
    problems.push_back("HSM " + hsm + " does not answer");
    return Ok();
  }
  const EpochRecord record = KMS_TRY(ReadRecord(sys_, hsm));
  const bool known = record.token_serial == token->serial;
  if (token->value > revision) {
    problems.push_back(Figures(*token, revision) +
                       " is the revision of the store: the store is older "
                       "than the token; restart to decide");
    return Ok();
  }
  if (known && token->value < record.value) {
    problems.push_back(Figures(*token, record.value) +
                       " was written to it: it was set back; restart to decide");
    return Ok();
  }
  if (known && record.value == revision && token->value == revision) {
    return Ok();
  }
  const Result<std::uint64_t> value = device->epochs()->RaiseEpoch(
      sys_id_, revision, device->DeadlineFrom(std::chrono::steady_clock::now(), timeout_));
  if (!value.has_value()) {
    problems.push_back("HSM " + hsm + ": " + value.error().public_message);
    return Ok();
  }
  const EpochRecord next{.value = *value, .token_serial = token->serial};
  records.push_back({.path = EpochPath(hsm),
                     .value = KMS_TRY(SecretBytes::CopyOf(next.Encode())),
                     .expected_revision = std::nullopt});
  return Ok();
}

}  // namespace kms
