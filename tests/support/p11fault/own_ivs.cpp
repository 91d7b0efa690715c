// SPDX-License-Identifier: Apache-2.0
#include "tests/support/p11fault/own_ivs.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <random>

#include "tests/support/p11fault/real.h"

namespace p11fault {
namespace {

// What both layouts of AES-GCM parameters begin with.
struct GcmHead {
  CK_BYTE* iv;
  CK_ULONG iv_bytes;
};
constexpr std::size_t kOwnIvBytes = 16;
using OwnIv = std::array<CK_BYTE, kOwnIvBytes>;

OwnIv MakeIv() {
  OwnIv iv{};
  std::random_device random;
  std::ranges::generate(iv, [&random] { return static_cast<CK_BYTE>(random()); });
  return iv;
}

// The IVs that C_Encrypt appends, by session.
class AppendedIvs {
 public:
  void Put(CK_SESSION_HANDLE session, const OwnIv& iv) {
    const std::lock_guard lock(mutex_);
    ivs_[session] = iv;
    any_ = true;
  }
  std::optional<OwnIv> Take(CK_SESSION_HANDLE session, bool keep) {
    if (!any_) return std::nullopt;
    const std::lock_guard lock(mutex_);
    const auto found = ivs_.find(session);
    if (found == ivs_.end()) return std::nullopt;
    const OwnIv iv = found->second;
    if (!keep) ivs_.erase(found);
    return iv;
  }

 private:
  std::atomic<bool> any_ = false;
  std::mutex mutex_;
  std::map<CK_SESSION_HANDLE, OwnIv> ivs_;
};
AppendedIvs appended_ivs;

CK_RV InitWithAppendedIv(CK_SESSION_HANDLE session, const CK_MECHANISM& mechanism,
                         CK_OBJECT_HANDLE key) {
  OwnIv iv = MakeIv();
  CK_GCM_PARAMS parameters{};  // the longer layout
  std::memcpy(&parameters, mechanism.pParameter,
              std::min<std::size_t>(mechanism.ulParameterLen, sizeof(parameters)));
  const GcmHead own{iv.data(), iv.size()};
  std::memcpy(&parameters, &own, sizeof(own));
  if (mechanism.ulParameterLen == sizeof(parameters)) {
    parameters.ulIvBits = iv.size() * 8;
  }
  CK_MECHANISM changed{mechanism.mechanism, &parameters, mechanism.ulParameterLen};
  const CK_RV result = Real()->C_EncryptInit(session, &changed, key);
  if (result == CKR_OK) appended_ivs.Put(session, iv);
  return result;
}

}  // namespace

CK_RV EncryptInit(const std::vector<Rule>& rules, CK_SESSION_HANDLE session,
                  CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key) {
  appended_ivs.Take(session, /*keep=*/false);
  const auto rule = std::ranges::find_if(rules, [](const Rule& one) { return !one.iv.empty(); });
  if (rule == rules.end() || mechanism == nullptr || mechanism->mechanism != CKM_AES_GCM ||
      mechanism->ulParameterLen < sizeof(GcmHead)) {
    return Real()->C_EncryptInit(session, mechanism, key);
  }
  if (rule->iv == "append") return InitWithAppendedIv(session, *mechanism, key);
  GcmHead head{};
  std::memcpy(&head, mechanism->pParameter, sizeof(head));
  const OwnIv iv = MakeIv();
  std::copy_n(iv.begin(), std::min<std::size_t>(head.iv_bytes, iv.size()), head.iv);
  return Real()->C_EncryptInit(session, mechanism, key);
}

CK_RV Encrypt(CK_SESSION_HANDLE session, CK_BYTE* data, CK_ULONG data_bytes, CK_BYTE* out,
              CK_ULONG* out_bytes) {
  const CK_ULONG room = *out_bytes;
  const bool asks_size = out == nullptr;
  CK_RV result = Real()->C_Encrypt(session, data, data_bytes, out, out_bytes);
  const bool goes_on = asks_size || result == CKR_BUFFER_TOO_SMALL;
  const std::optional<OwnIv> iv = appended_ivs.Take(session, goes_on);
  if (result != CKR_OK || !iv.has_value()) return result;
  if (!asks_size) {
    if (*out_bytes + iv->size() > room) return CKR_BUFFER_TOO_SMALL;
    std::ranges::copy(*iv, out + *out_bytes);
  }
  *out_bytes += iv->size();
  return result;
}

}  // namespace p11fault
