// SPDX-License-Identifier: Apache-2.0
// p11fault.so: a PKCS#11 module that forwards to another one and misbehaves on demand. Real HSMs
// lose sessions, lock PINs and hang; SoftHSM does not. The rules are described in rules.h.
#include <p11-kit/pkcs11.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "tests/support/p11fault/own_ivs.h"
#include "tests/support/p11fault/real.h"
#include "tests/support/p11fault/rules.h"
#include "tests/support/p11fault/sessions.h"

namespace p11fault {

namespace {

// Never destroyed: calls may come while the process exits.
Rules& TheRules() {
  static Rules* const rules = new Rules(FindPaths());  // NOLINT
  return *rules;
}

// Where a call puts its output, when it has one.
struct Output {
  CK_BYTE* bytes = nullptr;
  CK_ULONG* size = nullptr;
  CK_ULONG fixed_size = 0;
  CK_ULONG* count = nullptr;  // of objects or slots
};

template <typename Arguments>
Output FindOutput(std::string_view function, const Arguments& arguments) {
  constexpr std::size_t kCount = std::tuple_size_v<Arguments>;
  if constexpr (kCount >= 3) {
    using Bytes = std::tuple_element_t<kCount - 2, Arguments>;
    using Size = std::tuple_element_t<kCount - 1, Arguments>;
    if constexpr (std::is_same_v<Bytes, CK_BYTE*> && std::is_same_v<Size, CK_ULONG*>) {
      return {std::get<kCount - 2>(arguments), std::get<kCount - 1>(arguments), 0, nullptr};
    } else if constexpr (std::is_same_v<Size, CK_ULONG*>) {
      if (function == "C_FindObjects" || function == "C_GetSlotList") {
        return {nullptr, nullptr, 0, std::get<kCount - 1>(arguments)};
      }
    } else if constexpr (std::is_same_v<Bytes, CK_BYTE*> && std::is_same_v<Size, CK_ULONG>) {
      if (function == "C_GenerateRandom") {
        return {std::get<kCount - 2>(arguments), nullptr, std::get<kCount - 1>(arguments), nullptr};
      }
    } else if constexpr (std::is_same_v<Bytes, CK_ATTRIBUTE*>) {
      CK_ATTRIBUTE* const attribute = std::get<kCount - 2>(arguments);
      if (function == "C_GetAttributeValue" && attribute != nullptr &&
          attribute->type == CKA_VALUE) {
        return {static_cast<CK_BYTE*>(attribute->pValue), &attribute->ulValueLen, 0, nullptr};
      }
    }
  }
  return {};
}

// Set by `dead`; a module that has lost its server says this to everything but C_Finalize.
std::atomic<bool> dead = false;

void Leak(std::size_t kilobytes) {
  const std::size_t size = kilobytes << 10U;
  if (void* const lost = std::malloc(size); lost != nullptr) {  // NOLINT: that is the point
    std::memset(lost, 1, size);
    static std::atomic<void*> last;
    last = lost;  // not optimised away
  }
}

void HangOrEnd(const Rule& rule) {
  if (rule.hang) {
    TheRules().WaitUntilGone(rule);
  }
  if (rule.exit_status.has_value()) {
    std::exit(*rule.exit_status);
  }
  if (rule.signal.has_value()) {
    ::raise(*rule.signal);
  }
}

void ApplyBefore(const Rule& rule) {
  if (rule.delay_milliseconds > 0) {
    const timespec time{.tv_sec = rule.delay_milliseconds / 1000,
                        .tv_nsec = static_cast<long>(rule.delay_milliseconds % 1000) * 1'000'000};
    ::nanosleep(&time, nullptr);
  }
  TheRules().WaitForTurn(rule);
  if (rule.leak_kilobytes > 0) {
    Leak(rule.leak_kilobytes);
  }
  if (!rule.call.empty()) {
    TheRules().LogCall(rule.call, TrySystemCall(rule.call));
  }
  if (!rule.after) {
    HangOrEnd(rule);
  }
  if (rule.dead) {
    dead = true;
  }
  if (rule.lose) {
    LoseSessions();
    TheRules().AfterCloseAllSessions();
  }
  if (rule.lose || rule.logout) {
    LogOut();
  }
}

void ChangeLength(const std::string& length, CK_ULONG& size) {
  if (length == "unavailable") {
    size = ~CK_ULONG{0};
  } else if (length.front() == '+' || length.front() == '-') {
    size += static_cast<CK_ULONG>(std::atol(length.c_str()));
  } else {
    size = std::strtoul(length.c_str(), nullptr, 10);
  }
}

void ApplyAfter(const Rule& rule, const Output& output, CK_RV& result) {
  if (result != CKR_OK) {
    return;
  }
  const CK_ULONG size = output.size != nullptr ? *output.size : output.fixed_size;
  if (output.bytes != nullptr && size > 0 && rule.flip) {
    output.bytes[0] ^= 1U;
  }
  if (output.bytes != nullptr && rule.constant) {
    std::fill_n(output.bytes, size, CK_BYTE{0x42});
  }
  if (output.size != nullptr && !rule.length.empty()) {
    ChangeLength(rule.length, *output.size);
  }
  if (output.count != nullptr && rule.drop) {
    *output.count = 0;
  }
  result = rule.late_result.value_or(result);
}

std::optional<CK_RV> Remembered(std::string_view function) {
  if (function == "C_OpenSession") {
    return TheRules().BeforeOpenSession();
  }
  return function == "C_Login" ? TheRules().BeforeLogin() : std::nullopt;
}

void Remember(std::string_view function, CK_RV result) {
  if (function == "C_OpenSession") {
    TheRules().AfterOpenSession(result);
  } else if (function == "C_CloseSession") {
    TheRules().AfterCloseSession(result);
  } else if (function == "C_CloseAllSessions" || function == "C_Finalize") {
    TheRules().AfterCloseAllSessions();
  } else if (function == "C_Login") {
    TheRules().AfterLogin(result);
  }
}

// As a library that minds fork(2): only the process that initialised it may call it.
bool CalledByAnotherProcess(std::string_view function) {
  static std::atomic<pid_t> owner = 0;
  if (function == "C_Initialize") {
    owner = ::getpid();
  }
  return owner != 0 && owner != ::getpid();
}

bool IsDead(std::string_view function) {
  return dead && function != "C_Initialize" && function != "C_Finalize";
}

template <typename Forward>
CK_RV Intercept(std::string_view function, const Output& output, const Forward& forward) {
  if (CalledByAnotherProcess(function)) {
    return CKR_CRYPTOKI_NOT_INITIALIZED;
  }
  const std::vector<Rule> rules = TheRules().Match(function);
  std::optional<CK_RV> answer = Remembered(function);
  for (const Rule& rule : rules) {
    ApplyBefore(rule);
    answer = rule.result.has_value() ? rule.result : answer;
  }
  if (IsDead(function)) {
    answer = CKR_DEVICE_ERROR;
  }
  CK_RV result = answer.has_value() ? *answer : forward(rules);
  dead = dead && !(function == "C_Finalize" && result == CKR_OK);
  if (!answer.has_value()) {
    Remember(function, result);
    for (const Rule& rule : rules) {
      if (rule.after) {
        HangOrEnd(rule);
      }
      ApplyAfter(rule, output, result);
    }
  }
  TheRules().Log(function, result);
  return result;
}

// The first argument of all functions but these is a session.
constexpr std::string_view kWithoutSession[] = {
    "C_Initialize",       "C_Finalize",         "C_GetInfo",     "C_GetSlotList",
    "C_GetSlotInfo",      "C_GetTokenInfo",     "C_InitToken",   "C_GetMechanismList",
    "C_GetMechanismInfo", "C_WaitForSlotEvent", "C_OpenSession", "C_CloseAllSessions"};

template <typename First, typename... Rest>
bool HasLostSession(std::string_view function, First first, Rest... /*rest*/) {
  if constexpr (std::is_same_v<First, CK_SESSION_HANDLE>) {
    const bool has_session =
        std::ranges::find(kWithoutSession, function) == std::end(kWithoutSession);
    return has_session && IsLost(first);
  }
  return false;
}

// A function's name as a template argument.
template <std::size_t Size>
struct Name {
  constexpr Name(const char (&text)[Size]) { std::copy_n(text, Size, value); }  // NOLINT
  char value[Size]{};
};

template <Name function, auto member>
struct Shim;

template <Name function, typename... Arguments, CK_RV (*CK_FUNCTION_LIST::*member)(Arguments...)>
struct Shim<function, member> {
  static CK_RV Call(Arguments... arguments) {
    const Output output = FindOutput(function.value, std::tuple<Arguments...>(arguments...));
    return Intercept(function.value, output, [&](const std::vector<Rule>& rules) {
      constexpr std::string_view kName = function.value;
      if constexpr (kName == "C_CloseSession") {
        return CloseSession(arguments...);
      }
      if (HasLostSession(kName, arguments...)) {
        return CK_RV{CKR_SESSION_HANDLE_INVALID};
      }
      if constexpr (kName == "C_OpenSession") {
        return OpenSession(arguments...);
      } else if constexpr (kName == "C_Finalize") {
        ForgetSessions();
        return (Real()->*member)(arguments...);
      } else if constexpr (kName == "C_EncryptInit") {
        return EncryptInit(rules, arguments...);
      } else if constexpr (kName == "C_Encrypt") {
        return Encrypt(arguments...);
      } else {
        static_cast<void>(rules);
        return (Real()->*member)(arguments...);
      }
    });
  }
};

#define P11FAULT_FUNCTIONS(X)                                                                     \
  X(C_Initialize)                                                                                 \
  X(C_Finalize)                                                                                   \
  X(C_GetInfo) X(C_GetSlotList) X(C_GetSlotInfo) X(C_GetTokenInfo) X(C_GetMechanismList)          \
      X(C_GetMechanismInfo) X(C_InitToken) X(C_InitPIN) X(C_SetPIN) X(C_OpenSession) X(           \
          C_CloseSession) X(C_CloseAllSessions) X(C_GetSessionInfo) X(C_GetOperationState)        \
          X(C_SetOperationState) X(C_Login) X(C_Logout) X(C_CreateObject) X(C_CopyObject) X(      \
              C_DestroyObject) X(C_GetObjectSize) X(C_GetAttributeValue) X(C_SetAttributeValue)   \
              X(C_FindObjectsInit) X(C_FindObjects) X(C_FindObjectsFinal) X(C_EncryptInit)        \
                  X(C_Encrypt) X(C_EncryptUpdate) X(C_EncryptFinal) X(C_DecryptInit) X(C_Decrypt) \
                      X(C_DecryptUpdate) X(C_DecryptFinal) X(C_DigestInit) X(C_Digest)            \
                          X(C_DigestUpdate) X(C_DigestKey) X(C_DigestFinal) X(C_SignInit)         \
                              X(C_Sign) X(C_SignUpdate) X(C_SignFinal) X(C_SignRecoverInit)       \
                                  X(C_SignRecover) X(C_VerifyInit) X(C_Verify) X(C_VerifyUpdate)  \
                                      X(C_VerifyFinal) X(C_VerifyRecoverInit) X(C_VerifyRecover)  \
                                          X(C_DigestEncryptUpdate) X(C_DecryptDigestUpdate)       \
                                              X(C_SignEncryptUpdate) X(C_DecryptVerifyUpdate)     \
                                                  X(C_GenerateKey) X(C_GenerateKeyPair)           \
                                                      X(C_WrapKey) X(C_UnwrapKey) X(C_DeriveKey)  \
                                                          X(C_SeedRandom) X(C_GenerateRandom)     \
                                                              X(C_GetFunctionStatus)              \
                                                                  X(C_CancelFunction)             \
                                                                      X(C_WaitForSlotEvent)

CK_FUNCTION_LIST MakeList() {
  CK_FUNCTION_LIST list = *Real();
#define P11FAULT_OVERRIDE(name) list.name = Shim<#name, &CK_FUNCTION_LIST::name>::Call;
  P11FAULT_FUNCTIONS(P11FAULT_OVERRIDE)
#undef P11FAULT_OVERRIDE
  list.C_GetFunctionList = C_GetFunctionList;
  return list;
}

}  // namespace

}  // namespace p11fault

extern "C" __attribute__((visibility("default"))) CK_RV
C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  if (list == nullptr || p11fault::Real() == nullptr) {
    return CKR_GENERAL_ERROR;
  }
  static CK_FUNCTION_LIST shims = p11fault::MakeList();
  *list = &shims;
  return CKR_OK;
}
