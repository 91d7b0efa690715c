// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/capability.h"

#include <array>
#include <utility>

namespace kms {
namespace {

constexpr std::array<std::pair<Capability, std::string_view>, 9> kNames = {{
    {Capability::kCreate, "create"},
    {Capability::kRead, "read"},
    {Capability::kUpdate, "update"},
    {Capability::kDelete, "delete"},
    {Capability::kList, "list"},
    {Capability::kPatch, "patch"},
    {Capability::kScan, "scan"},
    {Capability::kSudo, "sudo"},
    {Capability::kDeny, "deny"},
}};

}  // namespace

std::string_view CapabilityName(Capability capability) {
  for (const auto& [known, name] : kNames) {
    if (known == capability) {
      return name;
    }
  }
  return capability == Capability::kNone ? "none" : "unset";
}

std::optional<Capability> ParseCapability(std::string_view name) {
  for (const auto& [capability, known] : kNames) {
    if (known == name) {
      return capability;
    }
  }
  return std::nullopt;
}

}  // namespace kms
