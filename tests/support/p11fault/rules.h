// SPDX-License-Identifier: Apache-2.0
// The rules of p11fault: what goes wrong, when, and what has happened so far.
//
// Where things are: environment variables P11FAULT_MODULE, P11FAULT_CONTROL and P11FAULT_LOG, or
// the file `<path of this module>.conf` (for processes with a clean environment: copy the module
// into a directory of the test), whose lines are `module=PATH`, `control=PATH`, `log=PATH`.
//
// The control file is read again whenever it has changed. One rule a line, `#` starts a comment:
//
//   FUNCTION [WHEN] ACTION...      FUNCTION: a name, for example C_Encrypt, or * for all
//
//   WHEN     every call without one
//            n=5          only the 5th call after the rule was first read by this process
//            from=5       the 5th call and all later ones
//            once         the next call, one time in all processes that share the control file
//            rate=1%      this share of the calls, at random; goes together with n, from and once
//   ACTION   return=0x30  does not call the module; returns this CK_RV
//            late=0x30    calls the module, then returns this CK_RV in place of CKR_OK
//            delay=200    waits so many milliseconds first
//            limit=500    all calls of the rule together are at most so many a second: others wait
//            hang         waits until the rule has gone from the file
//            dead         this call and all later ones give CKR_DEVICE_ERROR until C_Finalize and
//                         C_Initialize, as with a network HSM whose server has gone
//            logout       somebody logs out first: all sessions lose the login and its handles
//            lose         all sessions that are open, and the login with them, are gone first, as
//                         when the HSM behind the module was restarted: they give
//                         CKR_SESSION_HANDLE_INVALID, new ones work
//            exit=5       exit(5)
//            signal=11    raises this signal: 6 abort, 11 segmentation fault, 13 broken pipe
//            after        hang, exit and signal come when the module has done the call
//            length=+1    changes the length of the output: +N, -N, N or `unavailable`
//            flip         flips the lowest bit of the output's first byte (C_GetAttributeValue has
//                         an output when it reads CKA_VALUE: a secret that was derived to be read)
//            constant     fills the output with 0x42
//            drop         C_FindObjects finds no objects, C_GetSlotList no slots
//            iv=overwrite C_EncryptInit with AES-GCM: the token's own IV replaces the caller's in
//                         its buffer, as CloudHSM does
//            iv=append    the same: a 16-byte IV of the token's own is used and follows the
//                         ciphertext of C_Encrypt, as Luna does in FIPS mode
//            leak=4096    never frees so many kilobytes
//            call=fork    tries this before; the log gets a line `CALL fork 1` with the errno, 0
//                         when it was allowed: see system_calls.cpp for what can be tried
//
// A call from another process than the one of C_Initialize (after fork) gives
// CKR_CRYPTOKI_NOT_INITIALIZED. Rules with a memory:
//
//   sessions max=8    C_OpenSession returns CKR_SESSION_COUNT above so many open ones
//   pin tries=3       after so many CKR_PIN_INCORRECT in a row, in whichever process (the count is
//                     in `<control file>.pin`), C_Login returns CKR_PIN_LOCKED, for every PIN
//
// The log gets a line `FUNCTION 0xRV` for each call that returned.
#pragma once

#include <p11-kit/pkcs11.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace p11fault {

struct Paths {
  std::string module;
  std::string control;
  std::string log;
};
// From the environment, else from the file beside this module.
Paths FindPaths();

struct Rule {
  std::string line;  // its identity: a rule that stays keeps its count
  std::string function;
  std::uint64_t first = 1;
  std::uint64_t last = ~std::uint64_t{0};
  bool once = false;
  double rate = 1;  // share of the calls
  std::optional<CK_RV> result;
  std::optional<CK_RV> late_result;
  int delay_milliseconds = 0;
  unsigned calls_per_second = 0;  // 0: no limit
  bool hang = false;
  bool dead = false;
  bool logout = false;
  bool lose = false;
  std::optional<int> exit_status;
  std::optional<int> signal;
  bool after = false;
  std::string length;
  bool flip = false;
  bool constant = false;
  bool drop = false;
  std::string iv;    // "", "overwrite" or "append"
  std::size_t leak_kilobytes = 0;
  std::string call;  // a name of TrySystemCall
};

// Tries what a worker must not do, by its name in the table of system_calls.cpp: 0 when the kernel
// allowed it, else the errno. An unknown name ends the process.
int TrySystemCall(std::string_view name);

// Thread rule: any thread.
class Rules {
 public:
  explicit Rules(Paths paths) : paths_(std::move(paths)) {}

  // The rules that apply to this call of `function`, which is counted.
  std::vector<Rule> Match(std::string_view function);
  // Waits until `rule` is no longer in the control file.
  void WaitUntilGone(const Rule& rule);
  // Waits until a call of `rule` is within its calls a second.
  void WaitForTurn(const Rule& rule);
  void Log(std::string_view function, CK_RV result);
  void LogCall(std::string_view name, int error);

  // The two rules with a memory: what they answer in place of the module, if anything.
  std::optional<CK_RV> BeforeOpenSession();
  void AfterOpenSession(CK_RV result);
  void AfterCloseSession(CK_RV result);
  void AfterCloseAllSessions();
  std::optional<CK_RV> BeforeLogin();
  void AfterLogin(CK_RV result);

 private:
  void ReloadLocked();
  void Append(std::string_view line);
  [[nodiscard]] bool TakeOnceLocked(const Rule& rule) const;
  [[nodiscard]] int PinFailuresLocked() const;

  const Paths paths_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::string stamp_;
  std::vector<Rule> rules_;
  std::map<std::string, std::uint64_t> counts_;  // by line
  std::map<std::string, std::chrono::steady_clock::time_point> turns_;  // by line
  int log_ = -1;  // opened by the first line
  std::optional<std::uint64_t> max_sessions_;
  std::optional<int> pin_tries_;
  std::uint64_t open_sessions_ = 0;
};

}  // namespace p11fault
