// SPDX-License-Identifier: Apache-2.0
// The tokens that open each environment.
#include <utility>

#include "kms/operations/environments_impl.h"

namespace kms {

Result<GroupMaterial> Environments::ReadKeys(std::string_view name) const {
  const Impl::SlotHandle slot = KMS_TRY(impl_->FindAnySlot(name));
  return ReadGroupMaterial(impl_->store, slot->environment()->identity().id);
}

std::vector<std::string> Environments::MembersOf(std::string_view name) const {
  const Result<Impl::SlotHandle> slot = impl_->FindAnySlot(name);
  return slot.has_value() ? (*slot)->Ranked() : std::vector<std::string>{};
}

}  // namespace kms
