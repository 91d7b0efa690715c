// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/worker_protocol.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "kms/base/random.h"
#include "tests/support/matchers.h"

namespace kms::pkcs11 {

namespace {

using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;

MasterKeyRecord SampleRecord() {
  MasterKeyRecord record;
  record.id = Uuid::Random();
  record.version = 3;
  record.label = "kms-dev-3";
  record.token_label = "token";
  record.sentinel.master_key_id = record.id;
  record.sentinel.nonce = Bytes(12, 7);
  record.sentinel.blob = Bytes(48, 9);
  record.sentinel.tag_bytes = 16;
  record.sentinel.key_bytes = 32;
  return record;
}

ImportKeyRecord SampleImportKey() {
  ImportKeyRecord key;
  key.id = Uuid::Random();
  key.label = "import";
  key.public_key = Bytes(550, 4);
  key.places[2] = OaepPlace::kWorker;
  return key;
}

ResidentKeyRecord SampleResidentKey() {
  return {.id = Bytes(16, 6),
          .label = "kms/dev/app/1",
          .type = ResidentKeyType::kAes256Gcm,
          .token_label = "token",
          .token_serial = "17",
          .public_key = {3, 2, 1},
          .nonce_bytes = 12};
}

std::vector<WorkerRequestBody> SampleResidentRequests() {
  const ResidentKeyRecord key = SampleResidentKey();
  std::vector<WorkerRequestBody> bodies;
  bodies.emplace_back(GenerateResidentRequest{
      .id = Uuid::Random(), .type = ResidentKeyType::kRsa4096, .label = "kms/dev/app/1"});
  bodies.emplace_back(FindResidentRequest{.reference = "id=0a0b"});
  bodies.emplace_back(DestroyResidentRequest{.key = key});
  bodies.emplace_back(ResidentSignatureRequest{
      .key = key,
      .request = {.scheme = ResidentSignatureScheme::kRsaPss,
                  .hash = HashAlgorithm::kSha3_512,
                  .digest = Bytes(64, 8),
                  .salt_bytes = 64}});
  bodies.emplace_back(
      ResidentRsaDecryptRequest{.key = key, .hash = std::nullopt, .ciphertext = Bytes(256, 2)});
  bodies.emplace_back(ResidentEncryptRequest{
      .key = key, .plaintext = SecretBytes::CopyOf(Bytes(9, 5)).value(), .aad = {1}});
  bodies.emplace_back(ResidentDecryptRequest{
      .key = key, .ciphertext = {.nonce = Bytes(12, 1), .ciphertext = Bytes(25, 2)}, .aad = {}});
  bodies.emplace_back(ResidentAgreeRequest{.key = key, .peer_public_key = Bytes(65, 4)});
  return bodies;
}

std::vector<WorkerRequestBody> SampleRequests() {
  const MasterKeyRecord record = SampleRecord();
  std::vector<WorkerRequestBody> bodies;
  bodies.emplace_back(HelloRequest{{.module_path = "/usr/lib/module.so",
                                    .module_init = "init",
                                    .token_label = "token",
                                    .token_serial = "17",
                                    .pin = {.kind = PinSource::Kind::kDescriptor, .value = "4"},
                                    .sessions = 9,
                                    .softhsm_config = "/tmp/conf",
                                    .softhsm_state_directory = "/tmp/state",
                                    .pinned_mechanism = "kwp-wrap",
                                    .network = true,
                                    .memory_limit_bytes = std::uint64_t{5} << 32U,
                                    .state_directory = "/var/lib/kms"}});
  bodies.emplace_back(DescribeRequest());
  bodies.emplace_back(GenerateRequest{.id = record.id, .version = 2, .label = "label"});
  bodies.emplace_back(WrapRequest{
      .master = record, .key = SecretBytes::CopyOf(Bytes(32, 5)).value(), .context = {1, 2, 3}});
  bodies.emplace_back(
      UnwrapRequest{.master = record, .wrapped = record.sentinel, .context = {4, 5}});
  bodies.emplace_back(CheckSentinelRequest{.master = record});
  bodies.emplace_back(DestroyRequest{.master = record});
  bodies.emplace_back(SignRequest{.message = {1, 2}});
  bodies.emplace_back(PublicKeyRequest());
  bodies.emplace_back(RandomRequest{.size = 48});
  bodies.emplace_back(StatisticsRequest());
  bodies.emplace_back(GenerateImportKeyRequest{.id = record.id, .label = "import"});
  bodies.emplace_back(DecryptImportRequest{.key = SampleImportKey(),
                                           .hash = HashAlgorithm::kSha2_384,
                                           .ciphertext = Bytes(512, 3)});
  bodies.emplace_back(DestroyImportKeyRequest{.id = record.id, .label = record.label});
  bodies.emplace_back(ReadEpochRequest{.id = record.id});
  bodies.emplace_back(RaiseEpochRequest{.id = record.id, .value = std::uint64_t{7} << 40U});
  bodies.emplace_back(DestroyEpochRequest{.id = record.id});
  std::vector<WorkerRequestBody> resident = SampleResidentRequests();
  for (WorkerRequestBody& body : resident) {
    bodies.push_back(std::move(body));
  }
  return bodies;
}

std::vector<WorkerReplyBody> SampleReplies() {
  const MasterKeyRecord record = SampleRecord();
  std::vector<WorkerReplyBody> bodies;
  bodies.emplace_back(MakeError(ErrorCode::kCorrupted, "public", "detail"));
  bodies.emplace_back(Done());
  bodies.emplace_back(DeviceDescription{
      .token_label = "token",
      .token_serial = "17",
      .module_path = "/usr/lib/module.so",
      .module_description = "module 1.0",
      .usable_mechanisms = {WrapMechanism::kKwpWrap, WrapMechanism::kGcmEncrypt}});
  bodies.emplace_back(record);
  bodies.emplace_back(record.sentinel);
  bodies.emplace_back(SecretBytes::CopyOf(Bytes(64, 5)).value());
  bodies.emplace_back(Bytes{1, 2, 3});
  bodies.emplace_back(DeviceStatistics{.state = DeviceState::kLockedOut,
                                       .state_reason = "PIN",
                                       .calls = 1,
                                       .failed_calls = 2,
                                       .abandoned_calls = 3,
                                       .reconnects = 4,
                                       .worker_restarts = 5,
                                       .sessions_open = 6,
                                       .sessions_in_use = 7,
                                       .requests_waiting = 8,
                                       .worker_replacements = 9,
                                       .worker_memory_bytes = std::uint64_t{10} << 32U});
  bodies.emplace_back(std::optional(SampleImportKey()));
  bodies.emplace_back(EpochReply{.value = 8});
  bodies.emplace_back(SampleResidentKey());
  bodies.emplace_back(ResidentCiphertext{.nonce = Bytes(12, 1), .ciphertext = Bytes(25, 2)});
  return bodies;
}

Bytes Encode(const WorkerRequestBody& body) {
  Bytes buffer(kMaxWorkerFrameBytes);
  return CopyOf(EncodeRequest(0x1122, std::chrono::milliseconds(1500), body, buffer).value());
}

Bytes Encode(const WorkerReplyBody& body) {
  Bytes buffer(kMaxWorkerFrameBytes);
  WorkerReply reply{.id = 0x1122, .body = {}};
  // A reply owns its body, so its bytes are made through a decoded copy.
  std::visit(
      [&](const auto& part) {
        using Part = std::decay_t<decltype(part)>;
        if constexpr (std::is_same_v<Part, SecretBytes>) {
          reply.body = part.Clone().value();
        } else {
          reply.body = part;
        }
      },
      body);
  return CopyOf(EncodeReply(reply, buffer).value());
}

TEST(WorkerProtocol, RequestsComeBackAsTheyWere) {
  const std::vector<WorkerRequestBody> bodies = SampleRequests();
  ASSERT_EQ(bodies.size(), std::variant_size_v<WorkerRequestBody>);
  for (const WorkerRequestBody& body : bodies) {
    const Bytes frame = Encode(body);
    KMS_ASSERT_OK_AND_ASSIGN(const WorkerRequest request, DecodeRequest(frame));
    EXPECT_EQ(request.id, 0x1122U);
    EXPECT_EQ(request.budget, std::chrono::milliseconds(1500));
    EXPECT_EQ(request.body.index(), body.index());
    EXPECT_EQ(Encode(request.body), frame);
  }
}

TEST(WorkerProtocol, RepliesComeBackAsTheyWere) {
  const std::vector<WorkerReplyBody> bodies = SampleReplies();
  ASSERT_EQ(bodies.size(), std::variant_size_v<WorkerReplyBody>);
  for (const WorkerReplyBody& body : bodies) {
    const Bytes frame = Encode(body);
    KMS_ASSERT_OK_AND_ASSIGN(const WorkerReply reply, DecodeReply(frame));
    EXPECT_EQ(reply.id, 0x1122U);
    EXPECT_EQ(reply.body.index(), body.index());
    EXPECT_EQ(Encode(reply.body), frame);
  }
}

TEST(WorkerProtocol, RequestFieldsSurvive) {
  KMS_ASSERT_OK_AND_ASSIGN(const WorkerRequest hello, DecodeRequest(Encode(SampleRequests()[0])));
  const TokenOptions& token = std::get<HelloRequest>(hello.body).token;
  EXPECT_EQ(token.module_path, "/usr/lib/module.so");
  EXPECT_EQ(token.module_init, "init");
  EXPECT_EQ(token.token_label, "token");
  EXPECT_EQ(token.token_serial, "17");
  EXPECT_EQ(token.pin.kind, PinSource::Kind::kDescriptor);
  EXPECT_EQ(token.pin.value, "4");
  EXPECT_EQ(token.sessions, 9U);
  EXPECT_EQ(token.softhsm_config, "/tmp/conf");
  EXPECT_EQ(token.softhsm_state_directory, "/tmp/state");
  EXPECT_EQ(token.pinned_mechanism, "kwp-wrap");
  EXPECT_TRUE(token.network);
  EXPECT_EQ(token.memory_limit_bytes, std::uint64_t{5} << 32U);
  EXPECT_EQ(token.state_directory, "/var/lib/kms");
  KMS_ASSERT_OK_AND_ASSIGN(const WorkerRequest wrap, DecodeRequest(Encode(SampleRequests()[3])));
  EXPECT_TRUE(std::ranges::equal(std::get<WrapRequest>(wrap.body).key.View(), Bytes(32, 5)));
}

TEST(WorkerProtocol, ErrorsCarryCodeMessageAndDetail) {
  KMS_ASSERT_OK_AND_ASSIGN(const WorkerReply reply, DecodeReply(Encode(SampleReplies()[0])));
  const Error& error = std::get<Error>(reply.body);
  EXPECT_EQ(error.code, ErrorCode::kCorrupted);
  EXPECT_EQ(error.public_message, "public");
  EXPECT_EQ(error.detail, "detail");
}

TEST(WorkerProtocol, LongErrorTextsAreCut) {
  const WorkerReplyBody body = MakeError(ErrorCode::kInternal, std::string(5000, 'p'),
                                         std::string(kMaxWorkerFrameBytes, 'd'));
  KMS_ASSERT_OK_AND_ASSIGN(const WorkerReply reply, DecodeReply(Encode(body)));
  EXPECT_EQ(std::get<Error>(reply.body).public_message.size(), 1024U);
  EXPECT_EQ(std::get<Error>(reply.body).detail.size(), 1024U);
}

TEST(WorkerProtocol, RefusesEveryShortenedFrame) {
  for (const WorkerRequestBody& body : SampleRequests()) {
    const Bytes frame = Encode(body);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      EXPECT_FALSE(DecodeRequest(ByteView(frame).first(size)).has_value()) << size;
    }
  }
  for (const WorkerReplyBody& body : SampleReplies()) {
    const Bytes frame = Encode(body);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      EXPECT_FALSE(DecodeReply(ByteView(frame).first(size)).has_value()) << size;
    }
  }
}

TEST(WorkerProtocol, RefusesBytesAfterTheMessage) {
  for (const WorkerRequestBody& body : SampleRequests()) {
    Bytes frame = Encode(body);
    frame.push_back(0);
    EXPECT_THAT(DecodeRequest(frame), HasError(ErrorCode::kInvalidArgument));
  }
  for (const WorkerReplyBody& body : SampleReplies()) {
    Bytes frame = Encode(body);
    frame.push_back(0);
    EXPECT_THAT(DecodeReply(frame), HasError(ErrorCode::kInvalidArgument));
  }
}

TEST(WorkerProtocol, RefusesAnotherVersion) {
  Bytes frame = Encode(WorkerRequestBody(DescribeRequest()));
  frame[0] = kWorkerProtocolVersion + 1;
  EXPECT_THAT(DecodeRequest(frame),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("another protocol version")));
  EXPECT_FALSE(DecodeRequestId(frame).has_value());
}

TEST(WorkerProtocol, RefusesUnknownTags) {
  Bytes frame = Encode(WorkerRequestBody(DescribeRequest()));
  for (const int tag : {0, static_cast<int>(std::variant_size_v<WorkerRequestBody>) + 1, 255}) {
    frame[1] = static_cast<std::uint8_t>(tag);
    EXPECT_THAT(DecodeRequest(frame), HasError(ErrorCode::kInvalidArgument)) << tag;
  }
}

TEST(WorkerProtocol, RefusesNumbersOutOfRange) {
  Bytes error = Encode(SampleReplies()[0]);
  error[10] = 200;
  EXPECT_THAT(DecodeReply(error), HasError(ErrorCode::kInvalidArgument));
  Bytes statistics = Encode(SampleReplies()[7]);
  statistics[10] = 4;
  EXPECT_THAT(DecodeReply(statistics), HasError(ErrorCode::kInvalidArgument));
  Bytes budget = Encode(WorkerRequestBody(DescribeRequest()));
  budget[10] = 0xff;
  EXPECT_THAT(DecodeRequest(budget), HasError(ErrorCode::kInvalidArgument));
}

TEST(WorkerProtocol, RefusesADamagedRecordInside) {
  Bytes frame = Encode(WorkerRequestBody(CheckSentinelRequest{.master = SampleRecord()}));
  frame[18] ^= 0xffU;  // the record's kind, after header (14) and length (4)
  EXPECT_THAT(DecodeRequest(frame), HasError(ErrorCode::kCorrupted));
}

TEST(WorkerProtocol, RefusesToEncodeWhatFitsNoFrame) {
  Bytes buffer(kMaxWorkerFrameBytes);
  const WorkerRequestBody body = SignRequest{.message = Bytes(kMaxWorkerFrameBytes)};
  EXPECT_THAT(EncodeRequest(1, std::chrono::seconds(1), body, buffer),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("too large")));
}

TEST(WorkerProtocol, SurvivesEveryFlippedByte) {
  for (const WorkerRequestBody& body : SampleRequests()) {
    const Bytes frame = Encode(body);
    for (std::size_t index = 0; index < frame.size(); ++index) {
      Bytes damaged = frame;
      damaged[index] ^= 0xffU;
      const Result<WorkerRequest> decoded = DecodeRequest(damaged);
      if (decoded.has_value()) {
        Bytes buffer(kMaxWorkerFrameBytes);
        EXPECT_TRUE(std::ranges::equal(
            EncodeRequest(decoded->id, decoded->budget, decoded->body, buffer).value(), damaged));
      }
    }
  }
}

}  // namespace

}  // namespace kms::pkcs11
