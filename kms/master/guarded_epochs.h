// SPDX-License-Identifier: Apache-2.0
// GuardedEpochs: the EpochCounter of one token of the registry, behind its gate.
#pragma once

#include "kms/master/call_gate.h"
#include "kms/master/epoch_counter.h"

namespace kms {

// Thread rule and errors: as GuardedDevice.
class GuardedEpochs final : public EpochCounter {
 public:
  // Both must outlive it.
  GuardedEpochs(EpochCounter& epochs, CallGate& gate) : epochs_(epochs), gate_(gate) {}

  Result<std::optional<std::uint64_t>> ReadEpoch(const Uuid& id, Deadline deadline) override {
    return gate_.Run(deadline, [&] { return epochs_.ReadEpoch(id, deadline); });
  }
  Result<std::uint64_t> RaiseEpoch(const Uuid& id, std::uint64_t value,
                                   Deadline deadline) override {
    return gate_.Run(deadline, [&] { return epochs_.RaiseEpoch(id, value, deadline); });
  }
  Status DestroyEpoch(const Uuid& id, Deadline deadline) override {
    return gate_.Run(deadline, [&] { return epochs_.DestroyEpoch(id, deadline); });
  }

 private:
  EpochCounter& epochs_;
  CallGate& gate_;
};

}  // namespace kms
