// SPDX-License-Identifier: Apache-2.0
#include "kms/master/guarded_device.h"

#include <optional>
#include <utility>

#include "kms/master/call_gate.h"
#include "kms/master/guarded_epochs.h"
#include "kms/master/guarded_resident_keys.h"

namespace kms {

struct GuardedDevice::Impl {
  Impl(const std::string& name, HsmParts its_parts, const BreakerOptions& options,
       const Clock& clock)
      : parts(std::move(its_parts)),
        call_timeout(options.call_timeout),
        gate(name, options, clock) {
    if (parts.epochs != nullptr) {
      epochs.emplace(*parts.epochs, gate);
    }
    if (parts.resident_keys != nullptr) {
      resident_keys.emplace(*parts.resident_keys, gate);
    }
  }

  MasterKeyDevice& device() const { return *parts.master_keys; }

  const HsmParts parts;
  const std::chrono::milliseconds call_timeout;  // 0: none of its own
  CallGate gate;
  std::optional<GuardedEpochs> epochs;
  std::optional<GuardedResidentKeys> resident_keys;
};

GuardedDevice::GuardedDevice(std::string name, HsmParts parts, const BreakerOptions& options,
                             const Clock& clock)
    : name_(std::move(name)),
      impl_(std::make_unique<Impl>(name_, std::move(parts), options, clock)) {}

GuardedDevice::~GuardedDevice() = default;

HsmStatus GuardedDevice::State() const {
  HsmStatus status;
  status.name = name_;
  status.device = Statistics();
  impl_->gate.Describe(status);
  status.call_timeout_ms = impl_->call_timeout.count();
  return status;
}

Deadline GuardedDevice::DeadlineFrom(SteadyTime now, std::chrono::milliseconds usual) const {
  return now + (impl_->call_timeout.count() == 0 ? usual : impl_->call_timeout);
}

bool GuardedDevice::WouldTry() const { return impl_->gate.WouldTry(); }

ResidentKeyDevice* GuardedDevice::resident_keys() const {
  return impl_->resident_keys ? &*impl_->resident_keys : nullptr;
}

EpochCounter* GuardedDevice::epochs() const { return impl_->epochs ? &*impl_->epochs : nullptr; }

Result<DeviceDescription> GuardedDevice::Describe(Deadline deadline) {
  return impl_->gate.Run(deadline, [&] { return impl_->device().Describe(deadline); });
}

Result<MasterKeyRecord> GuardedDevice::GenerateMasterKey(const Uuid& id, std::uint32_t version,
                                                         const std::string& label,
                                                         Deadline deadline) {
  return impl_->gate.Run(
      deadline, [&] { return impl_->device().GenerateMasterKey(id, version, label, deadline); });
}

Result<WrappedKey> GuardedDevice::Wrap(const MasterKeyRecord& master, const SecretBytes& key,
                                       ByteView context, Deadline deadline) {
  return impl_->gate.Run(deadline,
                         [&] { return impl_->device().Wrap(master, key, context, deadline); });
}

Result<SecretBytes> GuardedDevice::Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped,
                                          ByteView context, Deadline deadline) {
  return impl_->gate.Run(
      deadline, [&] { return impl_->device().Unwrap(master, wrapped, context, deadline); });
}

Status GuardedDevice::CheckSentinel(const MasterKeyRecord& master, Deadline deadline) {
  return impl_->gate.Run(deadline, [&] { return impl_->device().CheckSentinel(master, deadline); });
}

Status GuardedDevice::DestroyMasterKey(const MasterKeyRecord& master, Deadline deadline) {
  return impl_->gate.Run(deadline,
                         [&] { return impl_->device().DestroyMasterKey(master, deadline); });
}

Result<Bytes> GuardedDevice::Sign(ByteView message, Deadline deadline) {
  return impl_->gate.Run(deadline, [&] { return impl_->device().Sign(message, deadline); });
}

Result<Bytes> GuardedDevice::SigningPublicKey(Deadline deadline) {
  return impl_->gate.Run(deadline, [&] { return impl_->device().SigningPublicKey(deadline); });
}

Result<SecretBytes> GuardedDevice::Random(std::size_t size, Deadline deadline) {
  return impl_->gate.Run(deadline, [&] { return impl_->device().Random(size, deadline); });
}

Result<std::optional<ImportKeyRecord>> GuardedDevice::GenerateImportKey(const Uuid& id,
                                                                        const std::string& label,
                                                                        Deadline deadline) {
  return impl_->gate.Run(deadline,
                         [&] { return impl_->device().GenerateImportKey(id, label, deadline); });
}

Result<SecretBytes> GuardedDevice::DecryptImport(const ImportKeyRecord& key, HashAlgorithm hash,
                                                 ByteView ciphertext, Deadline deadline) {
  return impl_->gate.Run(
      deadline, [&] { return impl_->device().DecryptImport(key, hash, ciphertext, deadline); });
}

Status GuardedDevice::DestroyImportKey(const Uuid& id, const std::string& label,
                                       Deadline deadline) {
  return impl_->gate.Run(deadline,
                         [&] { return impl_->device().DestroyImportKey(id, label, deadline); });
}

DeviceStatistics GuardedDevice::Statistics() const { return impl_->device().Statistics(); }

}  // namespace kms
