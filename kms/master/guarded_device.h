// SPDX-License-Identifier: Apache-2.0
// GuardedDevice: one token of the registry. Its breaker fails calls at once while the token does
// not answer, its queue bounds those that wait, and what calls take is measured.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "kms/base/clock.h"
#include "kms/base/mutex.h"
#include "kms/base/result.h"
#include "kms/master/epoch_counter.h"
#include "kms/master/hsm_registry.h"
#include "kms/master/master_key_device.h"
#include "kms/master/resident_key_device.h"

namespace kms {

// The errors of the device behind it, and kUnavailable at once: "HSM <name> does not answer" while
// the breaker is open, "HSM <name> is busy" when the queue is full or the deadline ends in it.
// What counts against the breaker: kUnavailable answers and calls that reach their deadline.
// Answers of any other kind prove that the token is there; that it is full is one, which callers see
// as kUnavailable. Thread rule: any thread; a call waits at
// most to its deadline.
class GuardedDevice final : public MasterKeyDevice {
 public:
  // `clock` must outlive it.
  GuardedDevice(std::string name, HsmParts parts, const BreakerOptions& options,
                const Clock& clock);
  ~GuardedDevice() override;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] HsmStatus State() const;
  // When a call that begins at `now` is given up: after the token's own time, else after `usual`.
  [[nodiscard]] Deadline DeadlineFrom(SteadyTime now, std::chrono::milliseconds usual) const;
  // Whether a call would be tried now; for choosing among the members of a group.
  [[nodiscard]] bool WouldTry() const;

  // The same token's other parts, behind the same breaker; nullptr where it offers none.
  [[nodiscard]] ResidentKeyDevice* resident_keys() const;
  [[nodiscard]] EpochCounter* epochs() const;

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

 private:
  struct Impl;
  const std::string name_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kms
