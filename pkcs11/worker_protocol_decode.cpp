// SPDX-License-Identifier: Apache-2.0
// The reading half of the worker's protocol, in the order in which worker_protocol_encode.cpp
// writes.
#include <string>
#include <utility>

#include "pkcs11/worker_frame.h"
#include "pkcs11/worker_protocol.h"

namespace kms::pkcs11 {

namespace {

constexpr std::size_t kMaxMechanisms = 64;

Error Malformed(std::string detail) {
  return InvalidArgument("malformed frame", std::move(detail));
}

// A number that must be one of an enum's, the last of which is given.
template <typename Enum>
Result<Enum> GetEnum(FrameReader& in, Enum last, std::uint8_t first = 0) {
  const std::uint8_t value = KMS_TRY(in.Get8());
  if (value < first || value > static_cast<std::uint8_t>(last)) {
    return Malformed("number out of range");
  }
  return static_cast<Enum>(value);
}

Status Get(FrameReader& in, MasterKeyRecord& record) {
  const ByteView encoded = KMS_TRY(in.GetView());
  record = KMS_TRY(MasterKeyRecord::Decode(encoded));
  return Ok();
}
Status Get(FrameReader& in, WrappedKey& wrapped) {
  const ByteView encoded = KMS_TRY(in.GetView());
  wrapped = KMS_TRY(WrappedKey::Decode(encoded));
  return Ok();
}

Status Get(FrameReader& in, HelloRequest& request) {
  TokenOptions& token = request.token;
  token.module_path = KMS_TRY(in.GetText());
  token.module_init = KMS_TRY(in.GetText());
  token.token_label = KMS_TRY(in.GetText());
  token.token_serial = KMS_TRY(in.GetText());
  token.pin.kind = KMS_TRY(GetEnum(in, PinSource::Kind::kEnvironment));
  token.pin.value = KMS_TRY(in.GetText());
  token.sessions = KMS_TRY(in.Get32());
  token.softhsm_config = KMS_TRY(in.GetText());
  token.softhsm_state_directory = KMS_TRY(in.GetText());
  token.pinned_mechanism = KMS_TRY(in.GetText());
  token.network = KMS_TRY(in.GetBool());
  token.memory_limit_bytes = KMS_TRY(in.Get64());
  token.state_directory = KMS_TRY(in.GetText());
  return Ok();
}
Status Get(FrameReader& /*in*/, DescribeRequest& /*request*/) { return Ok(); }
Status Get(FrameReader& in, GenerateRequest& request) {
  request.id = KMS_TRY(in.GetUuid());
  request.version = KMS_TRY(in.Get32());
  request.label = KMS_TRY(in.GetText());
  return Ok();
}
Status Get(FrameReader& in, WrapRequest& request) {
  KMS_TRY(Get(in, request.master));
  request.key = KMS_TRY(in.GetSecret());
  request.context = KMS_TRY(in.GetBytes());
  return Ok();
}
Status Get(FrameReader& in, UnwrapRequest& request) {
  KMS_TRY(Get(in, request.master));
  KMS_TRY(Get(in, request.wrapped));
  request.context = KMS_TRY(in.GetBytes());
  return Ok();
}
Status Get(FrameReader& in, CheckSentinelRequest& request) { return Get(in, request.master); }
Status Get(FrameReader& in, DestroyRequest& request) { return Get(in, request.master); }
Status Get(FrameReader& in, SignRequest& request) {
  request.message = KMS_TRY(in.GetBytes());
  return Ok();
}
Status Get(FrameReader& /*in*/, PublicKeyRequest& /*request*/) { return Ok(); }
Status Get(FrameReader& in, RandomRequest& request) {
  request.size = KMS_TRY(in.Get32());
  return Ok();
}
Status Get(FrameReader& /*in*/, StatisticsRequest& /*request*/) { return Ok(); }
Status Get(FrameReader& in, ImportKeyRecord& record) {
  const ByteView encoded = KMS_TRY(in.GetView());
  record = KMS_TRY(ImportKeyRecord::Decode(encoded));
  return Ok();
}
Status Get(FrameReader& in, GenerateImportKeyRequest& request) {
  request.id = KMS_TRY(in.GetUuid());
  request.label = KMS_TRY(in.GetText());
  return Ok();
}
Status Get(FrameReader& in, DecryptImportRequest& request) {
  KMS_TRY(Get(in, request.key));
  request.hash = KMS_TRY(GetEnum(in, HashAlgorithm::kSha3_512));
  request.ciphertext = KMS_TRY(in.GetBytes());
  return Ok();
}
Status Get(FrameReader& in, DestroyImportKeyRequest& request) {
  request.id = KMS_TRY(in.GetUuid());
  request.label = KMS_TRY(in.GetText());
  return Ok();
}
Status Get(FrameReader& in, ReadEpochRequest& request) {
  request.id = KMS_TRY(in.GetUuid());
  return Ok();
}
Status Get(FrameReader& in, RaiseEpochRequest& request) {
  request.id = KMS_TRY(in.GetUuid());
  request.value = KMS_TRY(in.Get64());
  return Ok();
}
Status Get(FrameReader& in, DestroyEpochRequest& request) {
  request.id = KMS_TRY(in.GetUuid());
  return Ok();
}

Status Get(FrameReader& in, ResidentKeyRecord& record) {
  record.id = KMS_TRY(in.GetBytes());
  record.label = KMS_TRY(in.GetText());
  record.type = KMS_TRY(GetEnum(in, ResidentKeyType::kEcdsaP521, /*first=*/1));
  record.token_label = KMS_TRY(in.GetText());
  record.token_serial = KMS_TRY(in.GetText());
  record.public_key = KMS_TRY(in.GetBytes());
  record.nonce_bytes = KMS_TRY(in.Get8());
  return Ok();
}
Status Get(FrameReader& in, ResidentCiphertext& ciphertext) {
  ciphertext.nonce = KMS_TRY(in.GetBytes());
  ciphertext.ciphertext = KMS_TRY(in.GetBytes());
  return Ok();
}
Status Get(FrameReader& in, std::optional<HashAlgorithm>& hash) {
  const std::uint8_t number = KMS_TRY(in.Get8());
  if (number > static_cast<unsigned>(HashAlgorithm::kSha3_512) + 1) {
    return Malformed("number out of range");
  }
  hash.reset();
  if (number != 0) {
    hash = static_cast<HashAlgorithm>(number - 1);
  }
  return Ok();
}
Status Get(FrameReader& in, GenerateResidentRequest& request) {
  request.id = KMS_TRY(in.GetUuid());
  request.type = KMS_TRY(GetEnum(in, ResidentKeyType::kEcdsaP521, /*first=*/1));
  request.label = KMS_TRY(in.GetText());
  return Ok();
}
Status Get(FrameReader& in, FindResidentRequest& request) {
  request.reference = KMS_TRY(in.GetText());
  return Ok();
}
Status Get(FrameReader& in, DestroyResidentRequest& request) { return Get(in, request.key); }
Status Get(FrameReader& in, ResidentSignatureRequest& request) {
  KMS_TRY(Get(in, request.key));
  request.request.scheme =
      KMS_TRY(GetEnum(in, ResidentSignatureScheme::kRsaPss, /*first=*/1));
  KMS_TRY(Get(in, request.request.hash));
  request.request.digest = KMS_TRY(in.GetBytes());
  request.request.salt_bytes = KMS_TRY(in.Get32());
  return Ok();
}
Status Get(FrameReader& in, ResidentRsaDecryptRequest& request) {
  KMS_TRY(Get(in, request.key));
  KMS_TRY(Get(in, request.hash));
  request.ciphertext = KMS_TRY(in.GetBytes());
  return Ok();
}
Status Get(FrameReader& in, ResidentEncryptRequest& request) {
  KMS_TRY(Get(in, request.key));
  request.plaintext = KMS_TRY(in.GetSecret());
  request.aad = KMS_TRY(in.GetBytes());
  return Ok();
}
Status Get(FrameReader& in, ResidentDecryptRequest& request) {
  KMS_TRY(Get(in, request.key));
  KMS_TRY(Get(in, request.ciphertext));
  request.aad = KMS_TRY(in.GetBytes());
  return Ok();
}

Status Get(FrameReader& in, ResidentAgreeRequest& request) {
  KMS_TRY(Get(in, request.key));
  request.peer_public_key = KMS_TRY(in.GetBytes());
  return Ok();
}

Status Get(FrameReader& in, Error& error) {
  const ErrorCode code = KMS_TRY(GetEnum(in, ErrorCode::kInternal));
  std::string public_message = KMS_TRY(in.GetText());
  std::string detail = KMS_TRY(in.GetText());
  error = MakeError(code, std::move(public_message), std::move(detail));
  return Ok();
}
Status Get(FrameReader& /*in*/, Done& /*done*/) { return Ok(); }
Status Get(FrameReader& in, DeviceDescription& description) {
  description.token_label = KMS_TRY(in.GetText());
  description.token_serial = KMS_TRY(in.GetText());
  description.module_path = KMS_TRY(in.GetText());
  description.module_description = KMS_TRY(in.GetText());
  const std::uint16_t count = KMS_TRY(in.Get16());
  if (count > kMaxMechanisms) {
    return Malformed("too many mechanisms");
  }
  for (std::uint16_t index = 0; index < count; ++index) {
    description.usable_mechanisms.push_back(
        KMS_TRY(GetEnum(in, WrapMechanism::kOaepSha256Raw, /*first=*/1)));
  }
  return Ok();
}
Status Get(FrameReader& in, SecretBytes& secret) {
  secret = KMS_TRY(in.GetSecret());
  return Ok();
}
Status Get(FrameReader& in, Bytes& bytes) {
  bytes = KMS_TRY(in.GetBytes());
  return Ok();
}
Status Get(FrameReader& in, DeviceStatistics& statistics) {
  statistics.state = KMS_TRY(GetEnum(in, DeviceState::kFatalConfig));
  statistics.state_reason = KMS_TRY(in.GetText());
  statistics.calls = KMS_TRY(in.Get64());
  statistics.failed_calls = KMS_TRY(in.Get64());
  statistics.abandoned_calls = KMS_TRY(in.Get64());
  statistics.reconnects = KMS_TRY(in.Get64());
  statistics.worker_restarts = KMS_TRY(in.Get64());
  statistics.sessions_open = KMS_TRY(in.Get32());
  statistics.sessions_in_use = KMS_TRY(in.Get32());
  statistics.requests_waiting = KMS_TRY(in.Get32());
  statistics.worker_replacements = KMS_TRY(in.Get64());
  statistics.worker_memory_bytes = KMS_TRY(in.Get64());
  return Ok();
}
Status Get(FrameReader& in, std::optional<ImportKeyRecord>& record) {
  const std::uint8_t present = KMS_TRY(in.Get8());
  if (present > 1) {
    return Malformed("number out of range");
  }
  return present == 1 ? Get(in, record.emplace()) : Ok();
}

Status Get(FrameReader& in, EpochReply& reply) {
  const std::uint8_t present = KMS_TRY(in.Get8());
  const std::uint64_t value = KMS_TRY(in.Get64());
  if (present > 1 || (present == 0 && value != 0)) {
    return Malformed("number out of range");
  }
  if (present == 1) {
    reply.value = value;
  }
  return Ok();
}

Result<std::uint8_t> GetVersionAndTag(FrameReader& in) {
  const std::uint8_t version = KMS_TRY(in.Get8());
  if (version != kWorkerProtocolVersion) {
    return InvalidArgument("worker speaks another protocol version",
                           "version " + std::to_string(version));
  }
  return in.Get8();
}

// Reads the alternative of `body` that `tag` names, from the place `Index` on.
template <std::size_t Index, typename Body>
Status GetAlternative(FrameReader& in, std::uint8_t tag, Body& body) {
  if constexpr (Index == std::variant_size_v<Body>) {
    return Malformed("unknown tag " + std::to_string(tag));
  } else {
    if (tag != Index + 1) {
      return GetAlternative<Index + 1>(in, tag, body);
    }
    return Get(in, body.template emplace<Index>());
  }
}

}  // namespace

Result<WorkerRequest> DecodeRequest(ByteView frame) {
  FrameReader in(frame);
  const std::uint8_t tag = KMS_TRY(GetVersionAndTag(in));
  WorkerRequest request;
  request.id = KMS_TRY(in.Get64());
  request.budget = std::chrono::milliseconds(KMS_TRY(in.Get32()));
  if (request.budget > kMaxWorkerBudget) {
    return Malformed("time left is out of range");
  }
  KMS_TRY(GetAlternative<0>(in, tag, request.body));
  KMS_TRY(in.ExpectEnd());
  return request;
}

Result<WorkerReply> DecodeReply(ByteView frame) {
  FrameReader in(frame);
  const std::uint8_t tag = KMS_TRY(GetVersionAndTag(in));
  WorkerReply reply;
  reply.id = KMS_TRY(in.Get64());
  KMS_TRY(GetAlternative<0>(in, tag, reply.body));
  KMS_TRY(in.ExpectEnd());
  return reply;
}

Result<std::uint64_t> DecodeRequestId(ByteView frame) {
  FrameReader in(frame);
  KMS_TRY(GetVersionAndTag(in));
  return in.Get64();
}

}  // namespace kms::pkcs11
