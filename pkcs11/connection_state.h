// SPDX-License-Identifier: Apache-2.0
// The reconnect state machine as a table of transitions.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "kms/master/master_key_device.h"

namespace kms::pkcs11 {

enum class ConnectionState : std::uint8_t {
  kDown,
  kInit,         // C_Initialize
  kFind,         // the token by label and serial
  kLogin,        // the PIN, once
  kBind,         // mechanisms and known master keys
  kReady,        // serves
  kDrain,        // new calls fail at once; waits for those under way
  kTeardown,     // frees everything, C_Finalize
  kBackoff,      // waits before the next attempt
  kLockedOut,    // until the PIN source holds another PIN
  kFatalConfig,  // waits before it looks whether an operator has acted
  kStuck,        // a call does not return: no C_Finalize, the process must end
};

enum class ConnectionEvent : std::uint8_t {
  kDone,            // the step of the state succeeded
  kDeviceFailed,    // the device or the module failed
  kPinRefused,      // or cannot be read
  kMisconfigured,   // wrong token, no usable mechanism
  kDrainTimedOut,
  kPinChanged,
};

// The state after `event`; the table has no row: the same state.
ConnectionState Next(ConnectionState state, ConnectionEvent event);

// What the world is told of a state.
DeviceState PublicState(ConnectionState state);
std::string_view ConnectionStateName(ConnectionState state);

// The pause before attempt number `attempt` (0: none), with jitter of up to a quarter.
std::chrono::milliseconds BackoffPause(unsigned attempt, std::chrono::milliseconds first,
                                       std::chrono::milliseconds longest);

// How often a single call that failed may have everybody reconnected while the token serves others:
// six times, and once more every ten seconds. Thread rule: the owner's lock.
class ReconnectBudget {
 public:
  // False when nothing is left.
  bool Spend(SteadyTime now);

 private:
  static constexpr unsigned kMost = 6;
  static constexpr std::chrono::seconds kOneMoreAfter{10};

  unsigned left_ = kMost;
  SteadyTime counted_{};  // from when the next one is earned
};

}  // namespace kms::pkcs11
