// SPDX-License-Identifier: Apache-2.0
// WorkerDevice: the MasterKeyDevice of kmsd; the token is in another process.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kms/master/epoch_counter.h"
#include "kms/master/master_key_device.h"
#include "kms/master/resident_key_device.h"
#include "pkcs11/token_options.h"
#include "pkcs11/worker_process.h"
#include "pkcs11/worker_protocol.h"

namespace kms::pkcs11 {

class WorkerSupervisor;

struct WorkerOptions {
  // What is started, with an environment of nothing but SOFTHSM2_CONF and CREDENTIALS_DIRECTORY
  // (where they apply) and `environment`: "NAME=value", for libraries that need more.
  std::string program = "/proc/self/exe";
  std::vector<std::string> arguments = {"hsm-worker"};
  std::vector<std::string> environment;
  TokenOptions token;
  // Calls in flight, those included that nobody waits for any more; further ones are refused.
  std::size_t max_waiting = 256;
  // Past its deadline by this much, a call that the worker still works on costs the worker its
  // life.
  std::chrono::milliseconds stuck_call_grace{5000};
  // How long a worker may take to load the module.
  std::chrono::milliseconds start_timeout{30000};
  // A younger worker is not replaced when it takes more than token.memory_limit_bytes.
  std::chrono::milliseconds shortest_life{10000};
  // Starts workers in place of `program`; empty: posix_spawn.
  WorkerLauncher launcher;
};

// The same calls with the same errors as the token's own, and kUnavailable "HSM is busy" above
// max_waiting, kInvalidArgument for a call that fits no frame. A worker that ends is replaced and
// the calls lost with it are made once more; callers see no more than the delay.
// Thread rule: any thread. Callers wait on their own threads; one more supervises.
class WorkerDevice final : public MasterKeyDevice,
                           public EpochCounter,
                           public ResidentKeyDevice {
 public:
  // Returns at once; the worker starts in the background. A PIN from a descriptor or from the
  // environment is read here, once, and given to each worker through a pipe; from a file or a
  // credential only the worker reads it. Errors: kFailedPrecondition (the PIN cannot be read),
  // kUnavailable.
  static Result<std::unique_ptr<WorkerDevice>> Start(WorkerOptions options);
  // Ends the worker within a second, even one that hangs.
  ~WorkerDevice() override;
  WorkerDevice(const WorkerDevice&) = delete;
  WorkerDevice& operator=(const WorkerDevice&) = delete;

  // Waits until the token serves. Errors: kUnavailable at the deadline, kFailedPrecondition at once
  // when an operator must act; the detail is the reason, as Statistics().state_reason.
  Status AwaitReady(Deadline deadline);

  // The process is about to stop: from now on a call has `patience` at most, those under way too.
  // The first one that takes longer ends the worker, and all others fail with kUnavailable at once.
  void LimitCalls(std::chrono::milliseconds patience);

  Result<DeviceDescription> Describe(Deadline deadline) override;
  Result<MasterKeyRecord> GenerateMasterKey(const Uuid& id, std::uint32_t version,
                                            const std::string& label, Deadline deadline) override;
  Result<WrappedKey> Wrap(const MasterKeyRecord& master, const SecretBytes& key, ByteView context,
                          Deadline deadline) override;
  Result<SecretBytes> Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped,
                             ByteView context, Deadline deadline) override;
  Status CheckSentinel(const MasterKeyRecord& master, Deadline deadline) override;
  Status DestroyMasterKey(const MasterKeyRecord& master, Deadline deadline) override;
  Result<Bytes> Sign(ByteView message, Deadline deadline) override;
  Result<Bytes> SigningPublicKey(Deadline deadline) override;
  Result<SecretBytes> Random(std::size_t size, Deadline deadline) override;
  Result<std::optional<ImportKeyRecord>> GenerateImportKey(const Uuid& id, const std::string& label,
                                                           Deadline deadline) override;
  Result<SecretBytes> DecryptImport(const ImportKeyRecord& key, HashAlgorithm hash,
                                    ByteView ciphertext, Deadline deadline) override;
  Status DestroyImportKey(const Uuid& id, const std::string& label, Deadline deadline) override;
  [[nodiscard]] DeviceStatistics Statistics() const override;

  Result<std::optional<std::uint64_t>> ReadEpoch(const Uuid& id, Deadline deadline) override;
  Result<std::uint64_t> RaiseEpoch(const Uuid& id, std::uint64_t value,
                                   Deadline deadline) override;
  Status DestroyEpoch(const Uuid& id, Deadline deadline) override;

  Result<ResidentKeyRecord> GenerateResidentKey(const Uuid& id, ResidentKeyType type,
                                                const std::string& label,
                                                Deadline deadline) override;
  Result<ResidentKeyRecord> FindResidentKey(const std::string& reference,
                                            Deadline deadline) override;
  Status DestroyResidentKey(const ResidentKeyRecord& key, Deadline deadline) override;
  Result<Bytes> ResidentSign(const ResidentKeyRecord& key, const ResidentSignRequest& request,
                             Deadline deadline) override;
  Result<SecretBytes> ResidentRsaDecrypt(const ResidentKeyRecord& key,
                                         std::optional<HashAlgorithm> hash, ByteView ciphertext,
                                         Deadline deadline) override;
  Result<ResidentCiphertext> ResidentEncrypt(const ResidentKeyRecord& key,
                                             const SecretBytes& plaintext, ByteView aad,
                                             Deadline deadline) override;
  Result<SecretBytes> ResidentDecrypt(const ResidentKeyRecord& key,
                                      const ResidentCiphertext& ciphertext, ByteView aad,
                                      Deadline deadline) override;
  Result<SecretBytes> ResidentAgree(const ResidentKeyRecord& key, ByteView peer_public_key,
                                    Deadline deadline) override;

 private:
  explicit WorkerDevice(std::unique_ptr<WorkerSupervisor> supervisor);

  template <typename Answer>
  Result<Answer> Ask(WorkerRequestBody body, Deadline deadline);

  const std::unique_ptr<WorkerSupervisor> supervisor_;
  // Held while a key is made: several at once would occupy every thread of the worker.
  std::timed_mutex import_key_mutex_;
  std::atomic<std::uint64_t> asked_ = 0;
  std::atomic<std::uint64_t> failed_ = 0;
};

}  // namespace kms::pkcs11
