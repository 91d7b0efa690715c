// SPDX-License-Identifier: Apache-2.0
// Token: one HSM token in the process that loaded the module; the real MasterKeyDevice.
#pragma once

#include <chrono>
#include <memory>

#include "kms/master/epoch_counter.h"
#include "kms/master/master_key_device.h"
#include "kms/master/resident_key_device.h"
#include "pkcs11/token_options.h"

namespace kms::pkcs11 {

struct TokenTimings {
  std::chrono::milliseconds probe_interval{2000};     // sentinel of every known master key
  std::chrono::milliseconds probe_deadline{5000};
  std::chrono::milliseconds drain_deadline{5000};     // calls under way when the device fails
  std::chrono::milliseconds first_backoff{200};       // doubles up to the longest, with jitter
  std::chrono::milliseconds longest_backoff{5000};
  std::chrono::milliseconds pin_poll_interval{2000};  // looking for a new PIN when locked out
  std::chrono::milliseconds refused_pause{10000};     // looking again at a token that is refused
  std::chrono::milliseconds connect_limit{60000};     // one connection attempt, key making included
  std::chrono::milliseconds stuck_grace{5000};        // past its deadline a call counts as stuck
};

// Connects on a thread of its own, keeps connecting, and answers kUnavailable meanwhile; what an
// operator must mend first is kFailedPrecondition. Master keys are learnt from the records of
// calls: each is found by CKA_ID, its attributes are checked and its sentinel opened before its
// first use of every connection. At most one per process and module: initialising is of the whole
// process.
// Thread rule: any thread. A call may outlive its deadline only inside the module; see stuck().
class Token final : public MasterKeyDevice, public EpochCounter, public ResidentKeyDevice {
 public:
  // Loads the module and returns at once, connecting in the background. Errors:
  // kFailedPrecondition for options or a module that can never work.
  static Result<std::unique_ptr<Token>> Start(TokenOptions options, TokenTimings timings = {});
  // Waits for calls under way. Where one may be stuck, leave by _exit instead.
  ~Token() override;
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;

  // Waits until it serves. Errors: kFailedPrecondition at once when only an operator can help;
  // kUnavailable at the deadline; both say why.
  Status AwaitReady(Deadline deadline);

  // True when the module does not return from a call: nothing but ending the process helps, and it
  // must be _exit, without destructors. Never blocks on the module.
  [[nodiscard]] bool stuck() const;

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
  class Impl;
  explicit Token(std::unique_ptr<Impl> impl);

  // Runs `operation` with the key, bound and proven (token_resident.cpp).
  template <typename Operation>
  Status UseResident(const ResidentKeyRecord& record, Deadline deadline,
                     const Operation& operation);

  std::unique_ptr<Impl> impl_;
};

}  // namespace kms::pkcs11
