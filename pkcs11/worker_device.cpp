// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/worker_device.h"

#include <cstdlib>
#include <utility>
#include <variant>

#include "pkcs11/pin.h"
#include "pkcs11/worker_server.h"
#include "pkcs11/worker_supervisor.h"

namespace kms::pkcs11 {

namespace {

constexpr const char* kCredentials = "CREDENTIALS_DIRECTORY";

std::vector<std::string> WorkerEnvironment(const WorkerOptions& options) {
  std::vector<std::string> environment = options.environment;
  if (!options.token.softhsm_config.empty()) {
    environment.push_back("SOFTHSM2_CONF=" + options.token.softhsm_config);
  }
  const char* const credentials = std::getenv(kCredentials);
  if (options.token.pin.kind == PinSource::Kind::kSystemdCredential && credentials != nullptr) {
    environment.push_back(std::string(kCredentials) + "=" + credentials);
  }
  return environment;
}

// The file that holds the PIN; empty when none does.
std::string PinFile(const PinSource& source) {
  const char* const credentials = std::getenv(kCredentials);
  switch (source.kind) {
    case PinSource::Kind::kFile: return source.value;
    case PinSource::Kind::kSystemdCredential:
      return credentials == nullptr ? "" : std::string(credentials) + "/" + source.value;
    case PinSource::Kind::kDescriptor:
    case PinSource::Kind::kEnvironment: break;
  }
  return "";
}

// Moves a PIN that can be read only once into `pin`, and points the worker to its pipe.
Status TakePin(PinSource& source, SecretBytes& pin) {
  if (source.kind == PinSource::Kind::kDescriptor || source.kind == PinSource::Kind::kEnvironment) {
    pin = KMS_TRY(ReadPin(source));
    source = {.kind = PinSource::Kind::kDescriptor, .value = std::to_string(kWorkerPinPipe)};
  }
  return Ok();
}

}  // namespace

Result<std::unique_ptr<WorkerDevice>> WorkerDevice::Start(WorkerOptions options) {
  SupervisorOptions supervision{.launch = options.launcher,
                                .token = options.token,
                                .pin_file = PinFile(options.token.pin),
                                .max_waiting = options.max_waiting,
                                .stuck_call_grace = options.stuck_call_grace,
                                .start_timeout = options.start_timeout,
                                .shortest_life = options.shortest_life};
  if (!supervision.launch) {
    const auto pin = std::make_shared<SecretBytes>();
    KMS_TRY(TakePin(supervision.token.pin, *pin));
    supervision.launch = [pin, program = options.program, arguments = options.arguments,
                          environment = WorkerEnvironment(options)] {
      return SpawnWorker({.program = program,
                          .arguments = arguments,
                          .environment = environment,
                          .pin = pin.get()});
    };
  }
  auto supervisor = KMS_TRY(WorkerSupervisor::Start(std::move(supervision)));
  return std::unique_ptr<WorkerDevice>(new WorkerDevice(std::move(supervisor)));
}

WorkerDevice::WorkerDevice(std::unique_ptr<WorkerSupervisor> supervisor)
    : supervisor_(std::move(supervisor)) {}

WorkerDevice::~WorkerDevice() = default;

Status WorkerDevice::AwaitReady(Deadline deadline) { return supervisor_->AwaitReady(deadline); }

void WorkerDevice::LimitCalls(std::chrono::milliseconds patience) {
  supervisor_->LimitCalls(patience);
}

template <typename Answer>
Result<Answer> WorkerDevice::Ask(WorkerRequestBody body, Deadline deadline) {
  ++asked_;
  Result<WorkerReplyBody> reply = supervisor_->Call(body, deadline);
  if (reply.has_value()) {
    if (auto* const answer = std::get_if<Answer>(&*reply)) {
      return std::move(*answer);
    }
  }
  ++failed_;
  if (!reply.has_value()) {
    return std::move(reply).error();
  }
  if (auto* const error = std::get_if<Error>(&*reply)) {
    return std::move(*error);
  }
  return Internal("the HSM worker answered another question");
}

Result<DeviceDescription> WorkerDevice::Describe(Deadline deadline) {
  return Ask<DeviceDescription>(DescribeRequest(), deadline);
}

Result<MasterKeyRecord> WorkerDevice::GenerateMasterKey(const Uuid& id, std::uint32_t version,
                                                        const std::string& label,
                                                        Deadline deadline) {
  return Ask<MasterKeyRecord>(GenerateRequest{.id = id, .version = version, .label = label},
                              deadline);
}

Result<WrappedKey> WorkerDevice::Wrap(const MasterKeyRecord& master, const SecretBytes& key,
                                      ByteView context, Deadline deadline) {
  SecretBytes copy = KMS_TRY(key.Clone());
  return Ask<WrappedKey>(
      WrapRequest{.master = master, .key = std::move(copy), .context = CopyOf(context)}, deadline);
}

Result<SecretBytes> WorkerDevice::Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped,
                                         ByteView context, Deadline deadline) {
  return Ask<SecretBytes>(
      UnwrapRequest{.master = master, .wrapped = wrapped, .context = CopyOf(context)}, deadline);
}

Status WorkerDevice::CheckSentinel(const MasterKeyRecord& master, Deadline deadline) {
  KMS_TRY(Ask<Done>(CheckSentinelRequest{.master = master}, deadline));
  return Ok();
}

Status WorkerDevice::DestroyMasterKey(const MasterKeyRecord& master, Deadline deadline) {
  KMS_TRY(Ask<Done>(DestroyRequest{.master = master}, deadline));
  return Ok();
}

Result<Bytes> WorkerDevice::Sign(ByteView message, Deadline deadline) {
  return Ask<Bytes>(SignRequest{.message = CopyOf(message)}, deadline);
}

Result<Bytes> WorkerDevice::SigningPublicKey(Deadline deadline) {
  return Ask<Bytes>(PublicKeyRequest(), deadline);
}

Result<SecretBytes> WorkerDevice::Random(std::size_t size, Deadline deadline) {
  if (size > kMaxWorkerFrameBytes) {
    return InvalidArgument("1 to 4096 random bytes at a time");
  }
  return Ask<SecretBytes>(RandomRequest{.size = static_cast<std::uint32_t>(size)}, deadline);
}

Result<std::optional<ImportKeyRecord>> WorkerDevice::GenerateImportKey(const Uuid& id,
                                                                       const std::string& label,
                                                                       Deadline deadline) {
  const std::unique_lock one_at_a_time(import_key_mutex_, deadline);
  if (!one_at_a_time.owns_lock()) {
    return Unavailable("the HSM is making another import key; retry later");
  }
  return Ask<std::optional<ImportKeyRecord>>(GenerateImportKeyRequest{.id = id, .label = label},
                                             deadline);
}

Result<SecretBytes> WorkerDevice::DecryptImport(const ImportKeyRecord& key, HashAlgorithm hash,
                                                ByteView ciphertext, Deadline deadline) {
  return Ask<SecretBytes>(
      DecryptImportRequest{.key = key, .hash = hash, .ciphertext = CopyOf(ciphertext)}, deadline);
}

Status WorkerDevice::DestroyImportKey(const Uuid& id, const std::string& label, Deadline deadline) {
  KMS_TRY(Ask<Done>(DestroyImportKeyRequest{.id = id, .label = label}, deadline));
  return Ok();
}

Result<std::optional<std::uint64_t>> WorkerDevice::ReadEpoch(const Uuid& id, Deadline deadline) {
  const EpochReply reply = KMS_TRY(Ask<EpochReply>(ReadEpochRequest{.id = id}, deadline));
  return reply.value;
}

Result<std::uint64_t> WorkerDevice::RaiseEpoch(const Uuid& id, std::uint64_t value,
                                               Deadline deadline) {
  const EpochReply reply =
      KMS_TRY(Ask<EpochReply>(RaiseEpochRequest{.id = id, .value = value}, deadline));
  return reply.value.value_or(0);
}

Status WorkerDevice::DestroyEpoch(const Uuid& id, Deadline deadline) {
  KMS_TRY(Ask<Done>(DestroyEpochRequest{.id = id}, deadline));
  return Ok();
}

Result<ResidentKeyRecord> WorkerDevice::GenerateResidentKey(const Uuid& id, ResidentKeyType type,
                                                            const std::string& label,
                                                            Deadline deadline) {
  const std::unique_lock one_at_a_time(import_key_mutex_, deadline);
  if (!one_at_a_time.owns_lock()) {
    return Unavailable("the HSM is making another key; retry later");
  }
  return Ask<ResidentKeyRecord>(GenerateResidentRequest{.id = id, .type = type, .label = label},
                                deadline);
}

Result<ResidentKeyRecord> WorkerDevice::FindResidentKey(const std::string& reference,
                                                        Deadline deadline) {
  return Ask<ResidentKeyRecord>(FindResidentRequest{.reference = reference}, deadline);
}

Status WorkerDevice::DestroyResidentKey(const ResidentKeyRecord& key, Deadline deadline) {
  KMS_TRY(Ask<Done>(DestroyResidentRequest{.key = key}, deadline));
  return Ok();
}

Result<Bytes> WorkerDevice::ResidentSign(const ResidentKeyRecord& key,
                                         const ResidentSignRequest& request, Deadline deadline) {
  return Ask<Bytes>(ResidentSignatureRequest{.key = key, .request = request}, deadline);
}

Result<SecretBytes> WorkerDevice::ResidentRsaDecrypt(const ResidentKeyRecord& key,
                                                     std::optional<HashAlgorithm> hash,
                                                     ByteView ciphertext, Deadline deadline) {
  return Ask<SecretBytes>(
      ResidentRsaDecryptRequest{.key = key, .hash = hash, .ciphertext = CopyOf(ciphertext)},
      deadline);
}

Result<ResidentCiphertext> WorkerDevice::ResidentEncrypt(const ResidentKeyRecord& key,
                                                         const SecretBytes& plaintext,
                                                         ByteView aad, Deadline deadline) {
  if (plaintext.size() + aad.size() > kMaxResidentMessageBytes) {
    return InvalidArgument("the message is too long for a key in an HSM");
  }
  SecretBytes copy = KMS_TRY(plaintext.Clone());
  return Ask<ResidentCiphertext>(
      ResidentEncryptRequest{.key = key, .plaintext = std::move(copy), .aad = CopyOf(aad)},
      deadline);
}

Result<SecretBytes> WorkerDevice::ResidentDecrypt(const ResidentKeyRecord& key,
                                                  const ResidentCiphertext& ciphertext,
                                                  ByteView aad, Deadline deadline) {
  return Ask<SecretBytes>(
      ResidentDecryptRequest{.key = key, .ciphertext = ciphertext, .aad = CopyOf(aad)}, deadline);
}

Result<SecretBytes> WorkerDevice::ResidentAgree(const ResidentKeyRecord& key,
                                                ByteView peer_public_key, Deadline deadline) {
  return Ask<SecretBytes>(
      ResidentAgreeRequest{.key = key, .peer_public_key = CopyOf(peer_public_key)}, deadline);
}

DeviceStatistics WorkerDevice::Statistics() const {
  DeviceStatistics statistics = supervisor_->Statistics();
  statistics.calls = asked_;
  statistics.failed_calls = failed_;
  return statistics;
}

}  // namespace kms::pkcs11
