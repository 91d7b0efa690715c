// SPDX-License-Identifier: Apache-2.0
// The writing half of the worker's protocol, in the order in which worker_protocol_decode.cpp
// reads.
#include <algorithm>
#include <string_view>

#include "pkcs11/worker_frame.h"
#include "pkcs11/worker_protocol.h"

namespace kms::pkcs11 {

namespace {

constexpr std::size_t kMaxErrorTextBytes = 1024;

void Put(FrameWriter& out, const MasterKeyRecord& record) { out.PutBytes(record.Encode()); }
void Put(FrameWriter& out, const WrappedKey& wrapped) { out.PutBytes(wrapped.Encode()); }

void Put(FrameWriter& out, const HelloRequest& request) {
  const TokenOptions& token = request.token;
  out.PutText(token.module_path);
  out.PutText(token.module_init);
  out.PutText(token.token_label);
  out.PutText(token.token_serial);
  out.Put8(static_cast<std::uint8_t>(token.pin.kind));
  out.PutText(token.pin.value);
  out.Put32(token.sessions);
  out.PutText(token.softhsm_config);
  out.PutText(token.softhsm_state_directory);
  out.PutText(token.pinned_mechanism);
  out.Put8(token.network ? 1 : 0);
  out.Put64(token.memory_limit_bytes);
  out.PutText(token.state_directory);
}
void Put(FrameWriter& /*out*/, const DescribeRequest& /*request*/) {}
void Put(FrameWriter& out, const GenerateRequest& request) {
  out.PutRaw(request.id.View());
  out.Put32(request.version);
  out.PutText(request.label);
}
void Put(FrameWriter& out, const WrapRequest& request) {
  Put(out, request.master);
  out.PutBytes(request.key.View());
  out.PutBytes(request.context);
}
void Put(FrameWriter& out, const UnwrapRequest& request) {
  Put(out, request.master);
  Put(out, request.wrapped);
  out.PutBytes(request.context);
}
void Put(FrameWriter& out, const CheckSentinelRequest& request) { Put(out, request.master); }
void Put(FrameWriter& out, const DestroyRequest& request) { Put(out, request.master); }
void Put(FrameWriter& out, const SignRequest& request) { out.PutBytes(request.message); }
void Put(FrameWriter& /*out*/, const PublicKeyRequest& /*request*/) {}
void Put(FrameWriter& out, const RandomRequest& request) { out.Put32(request.size); }
void Put(FrameWriter& /*out*/, const StatisticsRequest& /*request*/) {}
void Put(FrameWriter& out, const ImportKeyRecord& record) { out.PutBytes(record.Encode()); }
void Put(FrameWriter& out, const GenerateImportKeyRequest& request) {
  out.PutRaw(request.id.View());
  out.PutText(request.label);
}
void Put(FrameWriter& out, const DecryptImportRequest& request) {
  Put(out, request.key);
  out.Put8(static_cast<std::uint8_t>(request.hash));
  out.PutBytes(request.ciphertext);
}
void Put(FrameWriter& out, const DestroyImportKeyRequest& request) {
  out.PutRaw(request.id.View());
  out.PutText(request.label);
}
void Put(FrameWriter& out, const ReadEpochRequest& request) { out.PutRaw(request.id.View()); }
void Put(FrameWriter& out, const RaiseEpochRequest& request) {
  out.PutRaw(request.id.View());
  out.Put64(request.value);
}
void Put(FrameWriter& out, const DestroyEpochRequest& request) { out.PutRaw(request.id.View()); }

void Put(FrameWriter& out, const ResidentKeyRecord& record) {
  out.PutBytes(record.id);
  out.PutText(record.label);
  out.Put8(static_cast<std::uint8_t>(record.type));
  out.PutText(record.token_label);
  out.PutText(record.token_serial);
  out.PutBytes(record.public_key);
  out.Put8(record.nonce_bytes);
}
void Put(FrameWriter& out, const ResidentCiphertext& ciphertext) {
  out.PutBytes(ciphertext.nonce);
  out.PutBytes(ciphertext.ciphertext);
}
// 0: none.
void Put(FrameWriter& out, const std::optional<HashAlgorithm>& hash) {
  out.Put8(hash.has_value() ? static_cast<std::uint8_t>(static_cast<unsigned>(*hash) + 1) : 0);
}
void Put(FrameWriter& out, const GenerateResidentRequest& request) {
  out.PutRaw(request.id.View());
  out.Put8(static_cast<std::uint8_t>(request.type));
  out.PutText(request.label);
}
void Put(FrameWriter& out, const FindResidentRequest& request) { out.PutText(request.reference); }
void Put(FrameWriter& out, const DestroyResidentRequest& request) { Put(out, request.key); }
void Put(FrameWriter& out, const ResidentSignatureRequest& request) {
  Put(out, request.key);
  out.Put8(static_cast<std::uint8_t>(request.request.scheme));
  Put(out, request.request.hash);
  out.PutBytes(request.request.digest);
  out.Put32(request.request.salt_bytes);
}
void Put(FrameWriter& out, const ResidentRsaDecryptRequest& request) {
  Put(out, request.key);
  Put(out, request.hash);
  out.PutBytes(request.ciphertext);
}
void Put(FrameWriter& out, const ResidentEncryptRequest& request) {
  Put(out, request.key);
  out.PutBytes(request.plaintext.View());
  out.PutBytes(request.aad);
}
void Put(FrameWriter& out, const ResidentDecryptRequest& request) {
  Put(out, request.key);
  Put(out, request.ciphertext);
  out.PutBytes(request.aad);
}

void Put(FrameWriter& out, const ResidentAgreeRequest& request) {
  Put(out, request.key);
  out.PutBytes(request.peer_public_key);
}

void PutCut(FrameWriter& out, std::string_view text) {
  out.PutText(text.substr(0, kMaxErrorTextBytes));
}

void Put(FrameWriter& out, const Error& error) {
  out.Put8(static_cast<std::uint8_t>(error.code));
  PutCut(out, error.public_message);
  PutCut(out, error.detail);
}
void Put(FrameWriter& /*out*/, const Done& /*done*/) {}
void Put(FrameWriter& out, const DeviceDescription& description) {
  out.PutText(description.token_label);
  out.PutText(description.token_serial);
  out.PutText(description.module_path);
  out.PutText(description.module_description);
  out.Put16(static_cast<std::uint16_t>(description.usable_mechanisms.size()));
  for (const WrapMechanism mechanism : description.usable_mechanisms) {
    out.Put8(static_cast<std::uint8_t>(mechanism));
  }
}
void Put(FrameWriter& out, const SecretBytes& secret) { out.PutBytes(secret.View()); }
void Put(FrameWriter& out, const Bytes& bytes) { out.PutBytes(bytes); }
void Put(FrameWriter& out, const DeviceStatistics& statistics) {
  out.Put8(static_cast<std::uint8_t>(statistics.state));
  PutCut(out, statistics.state_reason);
  out.Put64(statistics.calls);
  out.Put64(statistics.failed_calls);
  out.Put64(statistics.abandoned_calls);
  out.Put64(statistics.reconnects);
  out.Put64(statistics.worker_restarts);
  out.Put32(statistics.sessions_open);
  out.Put32(statistics.sessions_in_use);
  out.Put32(statistics.requests_waiting);
  out.Put64(statistics.worker_replacements);
  out.Put64(statistics.worker_memory_bytes);
}
void Put(FrameWriter& out, const std::optional<ImportKeyRecord>& record) {
  out.Put8(record.has_value() ? 1 : 0);
  if (record.has_value()) Put(out, *record);
}

void Put(FrameWriter& out, const EpochReply& reply) {
  out.Put8(reply.value.has_value() ? 1 : 0);
  out.Put64(reply.value.value_or(0));
}

template <typename Body>
void PutHeader(FrameWriter& out, const Body& body, std::uint64_t id) {
  out.Put8(kWorkerProtocolVersion);
  out.Put8(static_cast<std::uint8_t>(body.index() + 1));
  out.Put64(id);
}

}  // namespace

Result<ByteView> EncodeRequest(std::uint64_t id, std::chrono::milliseconds budget,
                               const WorkerRequestBody& body, MutableByteView out) {
  FrameWriter writer(out);
  PutHeader(writer, body, id);
  const auto cut = std::clamp(budget, std::chrono::milliseconds{0}, kMaxWorkerBudget);
  writer.Put32(static_cast<std::uint32_t>(cut.count()));
  std::visit([&](const auto& part) { Put(writer, part); }, body);
  return writer.Finish();
}

Result<ByteView> EncodeReply(const WorkerReply& reply, MutableByteView out) {
  FrameWriter writer(out);
  PutHeader(writer, reply.body, reply.id);
  std::visit([&](const auto& body) { Put(writer, body); }, reply.body);
  return writer.Finish();
}

}  // namespace kms::pkcs11
