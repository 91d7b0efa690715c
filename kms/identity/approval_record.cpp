// SPDX-License-Identifier: Apache-2.0
// One approval, format 1 (numbers big-endian, text and bytes with a 4-byte length, flags one byte):
//
//   'A' | 1 | stage(1) | id(16) | claim(16)
//       | created(8) | expires(8) | decided(8), unix seconds | status(4) | result flag
//       | requester | approver: actor text, accessor text, display name text
//       | action(1) | environment text | environment id(16) | key name text
//       | key incarnation(16) | method text | path text | policy path text | capability text |
//       query text | wrap ttl text | number of parameters(4) | per parameter: name text, value
//       text, scalar flag | digest(32) | body bytes
#include "kms/identity/approval_record.h"

#include <algorithm>
#include <utility>

#include "kms/base/record_codec.h"

namespace kms {

namespace {

constexpr char kKind = 'A';
constexpr std::uint8_t kFormat = 1;

void PutParty(const ApprovalParty& party, RecordWriter& writer) {
  writer.PutText(party.actor);
  writer.PutText(party.accessor);
  writer.PutText(party.display_name);
}

ApprovalParty GetParty(RecordReader& reader) {
  ApprovalParty party;
  party.actor = reader.GetText();
  party.accessor = reader.GetText();
  party.display_name = reader.GetText();
  return party;
}

// What the digest covers, and what a record has of a demand besides parameters and body.
void PutOrder(const ApprovalDemand& demand, RecordWriter& writer) {
  writer.Put(static_cast<std::uint8_t>(demand.action));
  writer.PutText(demand.environment);
  writer.PutRaw(demand.environment_id.View());
  writer.PutText(demand.key_name);
  writer.PutRaw(demand.key.View());
  writer.PutText(demand.method);
  writer.PutText(demand.path);
  writer.PutText(demand.policy_path);
  writer.PutText(CapabilityName(demand.capability));
  writer.PutText(demand.query);
  writer.PutText(demand.wrap_ttl);
}

void GetOrder(RecordReader& reader, ApprovalDemand& demand) {
  demand.action = static_cast<GuardedAction>(reader.Get<std::uint8_t>());
  demand.environment = reader.GetText();
  demand.environment_id = reader.GetUuid();
  demand.key_name = reader.GetText();
  demand.key = reader.GetUuid();
  demand.method = reader.GetText();
  demand.path = reader.GetText();
  demand.policy_path = reader.GetText();
  const std::optional<Capability> capability = ParseCapability(AsText(reader.GetSized()));
  demand.capability = capability.value_or(Capability::kUnset);
  demand.query = reader.GetText();
  demand.wrap_ttl = reader.GetText();
  const bool known = GuardedActionName(demand.action) != "unknown";
  if (!known || !capability) {
    reader.Fail();
  }
}

void PutParameters(const std::vector<ApprovalParameter>& parameters, RecordWriter& writer) {
  writer.Put(static_cast<std::uint32_t>(parameters.size()));
  for (const ApprovalParameter& parameter : parameters) {
    writer.PutText(parameter.name);
    writer.PutText(parameter.value);
    writer.PutFlag(parameter.is_scalar);
  }
}

std::vector<ApprovalParameter> GetParameters(RecordReader& reader) {
  std::vector<ApprovalParameter> parameters;
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < count && !reader.failed(); ++index) {
    ApprovalParameter parameter;
    parameter.name = reader.GetText();
    parameter.value = reader.GetText();
    parameter.is_scalar = reader.GetFlag();
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

bool IsKnown(ApprovalStage stage) {
  return stage >= ApprovalStage::kPending && stage <= ApprovalStage::kCancelled;
}

}  // namespace

Sha256Digest ApprovalDemand::Digest() const {
  RecordWriter order;
  PutOrder(*this, order);
  return Sha256({AsBytes("kms approval v1\n"), order.Take(), body.View()});
}

bool Approval::Expired(std::int64_t now_unix_seconds) const {
  return stage == ApprovalStage::kPending && expires_unix_seconds <= now_unix_seconds;
}

std::string_view Approval::StateName(std::int64_t now_unix_seconds) const {
  switch (stage) {
    case ApprovalStage::kPending: return Expired(now_unix_seconds) ? "expired" : "pending";
    case ApprovalStage::kApproved: return "approved";
    case ApprovalStage::kExecuted: return "executed";
    case ApprovalStage::kFailed: return "failed";
    case ApprovalStage::kCancelled: return "cancelled";
  }
  return "unknown";
}

Result<SecretBytes> Approval::Encode() const {
  RecordWriter writer(kKind, kFormat);
  writer.Put(static_cast<std::uint8_t>(stage));
  writer.PutRaw(id.View());
  writer.PutRaw(claim.View());
  writer.Put(created_unix_seconds);
  writer.Put(expires_unix_seconds);
  writer.Put(decided_unix_seconds);
  writer.Put(status);
  writer.PutFlag(has_result);
  PutParty(requester, writer);
  PutParty(approver, writer);
  PutOrder(demand, writer);
  PutParameters(demand.parameters, writer);
  writer.PutRaw(demand.Digest());
  writer.Put(static_cast<std::uint32_t>(demand.body.size()));
  const Bytes open_part = writer.Take();
  SecretBytes encoded = KMS_TRY(SecretBytes::OfSize(open_part.size() + demand.body.size()));
  const MutableByteView out = encoded.MutableView();
  std::ranges::copy(open_part, out.begin());
  std::ranges::copy(demand.body.View(), out.subspan(open_part.size()).begin());
  return encoded;
}

Result<Approval> Approval::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead(kKind, kFormat);
  Approval approval;
  approval.stage = static_cast<ApprovalStage>(reader.Get<std::uint8_t>());
  approval.id = reader.GetUuid();
  approval.claim = reader.GetUuid();
  approval.created_unix_seconds = reader.Get<std::int64_t>();
  approval.expires_unix_seconds = reader.Get<std::int64_t>();
  approval.decided_unix_seconds = reader.Get<std::int64_t>();
  approval.status = reader.Get<std::int32_t>();
  approval.has_result = reader.GetFlag();
  approval.requester = GetParty(reader);
  approval.approver = GetParty(reader);
  GetOrder(reader, approval.demand);
  approval.demand.parameters = GetParameters(reader);
  const ByteView digest = reader.GetRaw(kSha256Bytes);
  const ByteView body = reader.GetSized();
  std::ranges::copy(body, approval.demand.body.Reset(body.size()).begin());
  if (!reader.Finished() || !IsKnown(approval.stage) ||
      !EqualInConstantTime(digest, approval.demand.Digest())) {
    return Corrupted("damaged entry", "approval");
  }
  return approval;
}

}  // namespace kms
