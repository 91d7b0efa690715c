// SPDX-License-Identifier: Apache-2.0
#include "tests/support/p11fault/sessions.h"

#include <array>
#include <map>
#include <mutex>

#include "tests/support/p11fault/real.h"

namespace p11fault {
namespace {

class OpenSessions {
 public:
  void Add(CK_SESSION_HANDLE session) {
    const std::lock_guard lock(mutex_);
    open_[session] = false;
  }
  void Remove(CK_SESSION_HANDLE session) {
    const std::lock_guard lock(mutex_);
    open_.erase(session);
  }
  void Clear() {
    const std::lock_guard lock(mutex_);
    open_.clear();
  }
  void LoseAll() {
    const std::lock_guard lock(mutex_);
    for (auto& [session, lost] : open_) {
      lost = true;
    }
  }
  bool IsLost(CK_SESSION_HANDLE session) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(session);
    return found != open_.end() && found->second;
  }

 private:
  std::mutex mutex_;
  std::map<CK_SESSION_HANDLE, bool> open_;
};
OpenSessions open_sessions;

}  // namespace

CK_RV OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void* application, CK_NOTIFY notify,
                  CK_SESSION_HANDLE* session) {
  const CK_RV result = Real()->C_OpenSession(slot, flags, application, notify, session);
  if (result == CKR_OK) {
    open_sessions.Add(*session);
  }
  return result;
}

CK_RV CloseSession(CK_SESSION_HANDLE session) {
  const bool lost = open_sessions.IsLost(session);
  open_sessions.Remove(session);
  const CK_RV result = Real()->C_CloseSession(session);
  return lost ? CKR_SESSION_HANDLE_INVALID : result;
}

void LoseSessions() { open_sessions.LoseAll(); }
bool IsLost(CK_SESSION_HANDLE session) { return open_sessions.IsLost(session); }
void ForgetSessions() { open_sessions.Clear(); }

void LogOut() {
  std::array<CK_SLOT_ID, 16> slots{};
  CK_ULONG count = slots.size();
  if (Real()->C_GetSlotList(CK_TRUE, slots.data(), &count) != CKR_OK) {
    return;
  }
  for (std::size_t index = 0; index < count; ++index) {
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    if (Real()->C_OpenSession(slots[index], CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr,
                              &session) == CKR_OK) {
      Real()->C_Logout(session);
      Real()->C_CloseSession(session);
    }
  }
}

}  // namespace p11fault
