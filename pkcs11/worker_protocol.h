// SPDX-License-Identifier: Apache-2.0
// The messages between kmsd and an HSM worker, one per packet of a SOCK_SEQPACKET socket.
//
//   request: version(1) | tag(1) | id(8) | milliseconds left(4) | body
//   reply:   version(1) | tag(1) | id(8) | body
//
// A tag is the place of the body's type in its variant, from 1: append, never reorder, and raise
// the version when a body changes. Both ends are built from one tree; a worker of another version
// is refused at the hello.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "kms/master/master_key_device.h"
#include "kms/master/resident_key_device.h"
#include "pkcs11/token_options.h"

namespace kms::pkcs11 {

inline constexpr std::uint8_t kWorkerProtocolVersion = 5;
inline constexpr std::size_t kMaxWorkerFrameBytes = std::size_t{64} << 10U;
// The longest time left that a request can carry; a later deadline is cut to it.
inline constexpr std::chrono::milliseconds kMaxWorkerBudget = std::chrono::hours(1);

// ---- requests ----------------------------------------------------------------------------------

// The first message of a connection: which token to bind. Holds no secret.
struct HelloRequest {
  TokenOptions token;
};
struct DescribeRequest {};
struct GenerateRequest {
  Uuid id;
  std::uint32_t version = 0;
  std::string label;
};
struct WrapRequest {
  MasterKeyRecord master;
  SecretBytes key;
  Bytes context;
};
struct UnwrapRequest {
  MasterKeyRecord master;
  WrappedKey wrapped;
  Bytes context;
};
struct CheckSentinelRequest {
  MasterKeyRecord master;
};
struct DestroyRequest {
  MasterKeyRecord master;
};
struct SignRequest {
  Bytes message;
};
struct PublicKeyRequest {};
struct RandomRequest {
  std::uint32_t size = 0;
};
// Answered at once, whatever the token is doing.
struct StatisticsRequest {};
struct GenerateImportKeyRequest {
  Uuid id;
  std::string label;
};
struct DecryptImportRequest {
  ImportKeyRecord key;
  HashAlgorithm hash = HashAlgorithm::kSha2_256;
  Bytes ciphertext;
};
struct DestroyImportKeyRequest {
  Uuid id;
  std::string label;
};
struct ReadEpochRequest {
  Uuid id;
};
struct RaiseEpochRequest {
  Uuid id;
  std::uint64_t value = 0;
};
struct DestroyEpochRequest {
  Uuid id;
};
struct GenerateResidentRequest {
  Uuid id;
  ResidentKeyType type = ResidentKeyType::kEcdsaP256;
  std::string label;
};
struct FindResidentRequest {
  std::string reference;
};
struct DestroyResidentRequest {
  ResidentKeyRecord key;
};
struct ResidentSignatureRequest {
  ResidentKeyRecord key;
  ResidentSignRequest request;
};
struct ResidentRsaDecryptRequest {
  ResidentKeyRecord key;
  std::optional<HashAlgorithm> hash;
  Bytes ciphertext;
};
struct ResidentEncryptRequest {
  ResidentKeyRecord key;
  SecretBytes plaintext;
  Bytes aad;
};
struct ResidentDecryptRequest {
  ResidentKeyRecord key;
  ResidentCiphertext ciphertext;
  Bytes aad;
};

struct ResidentAgreeRequest {
  ResidentKeyRecord key;
  Bytes peer_public_key;
};

using WorkerRequestBody =
    std::variant<HelloRequest, DescribeRequest, GenerateRequest, WrapRequest, UnwrapRequest,
                 CheckSentinelRequest, DestroyRequest, SignRequest, PublicKeyRequest, RandomRequest,
                 StatisticsRequest, GenerateImportKeyRequest, DecryptImportRequest,
                 DestroyImportKeyRequest, ReadEpochRequest, RaiseEpochRequest,
                 DestroyEpochRequest, GenerateResidentRequest, FindResidentRequest,
                 DestroyResidentRequest, ResidentSignatureRequest, ResidentRsaDecryptRequest,
                 ResidentEncryptRequest, ResidentDecryptRequest, ResidentAgreeRequest>;

struct WorkerRequest {
  std::uint64_t id = 0;
  std::chrono::milliseconds budget{0};  // 0..kMaxWorkerBudget
  WorkerRequestBody body;
};

// ---- replies -----------------------------------------------------------------------------------

struct Done {};
struct EpochReply {
  std::optional<std::uint64_t> value;
};

using WorkerReplyBody = std::variant<Error, Done, DeviceDescription, MasterKeyRecord, WrappedKey,
                                     SecretBytes, Bytes, DeviceStatistics,
                                     std::optional<ImportKeyRecord>, EpochReply,
                                     ResidentKeyRecord, ResidentCiphertext>;

struct WorkerReply {
  std::uint64_t id = 0;
  WorkerReplyBody body;
};

// ---- encoding ----------------------------------------------------------------------------------

// Writes into `out`, which the caller wipes, and returns the part used. Texts of errors are cut
// to 1 KiB. Errors: kInvalidArgument when the message does not fit.
Result<ByteView> EncodeRequest(std::uint64_t id, std::chrono::milliseconds budget,
                               const WorkerRequestBody& body, MutableByteView out);
Result<ByteView> EncodeReply(const WorkerReply& reply, MutableByteView out);

// Errors: kInvalidArgument for anything but exactly one message of this version; kUnavailable when
// a secret finds no locked memory; kCorrupted from a record inside.
Result<WorkerRequest> DecodeRequest(ByteView frame);
Result<WorkerReply> DecodeReply(ByteView frame);

// The id of a request whose body may be malformed, so that its sender can be answered.
Result<std::uint64_t> DecodeRequestId(ByteView frame);

}  // namespace kms::pkcs11
