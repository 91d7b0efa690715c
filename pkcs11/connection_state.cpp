// SPDX-License-Identifier: Apache-2.0
// The table of transitions.
#include "pkcs11/connection_state.h"

#include <algorithm>

#include "kms/base/random.h"

namespace kms::pkcs11 {
namespace {

using State = ConnectionState;
using Event = ConnectionEvent;

struct Transition {
  State from;
  Event event;
  State to;
};
constexpr Transition kTransitions[] = {
    {State::kDown, Event::kDone, State::kInit},

    {State::kInit, Event::kDone, State::kFind},
    {State::kInit, Event::kDeviceFailed, State::kTeardown},
    {State::kInit, Event::kMisconfigured, State::kFatalConfig},

    {State::kFind, Event::kDone, State::kLogin},
    {State::kFind, Event::kDeviceFailed, State::kTeardown},
    {State::kFind, Event::kMisconfigured, State::kFatalConfig},

    {State::kLogin, Event::kDone, State::kBind},
    {State::kLogin, Event::kDeviceFailed, State::kTeardown},
    {State::kLogin, Event::kPinRefused, State::kLockedOut},
    {State::kLogin, Event::kMisconfigured, State::kFatalConfig},

    {State::kBind, Event::kDone, State::kReady},
    {State::kBind, Event::kDeviceFailed, State::kTeardown},
    {State::kBind, Event::kMisconfigured, State::kFatalConfig},

    {State::kReady, Event::kDeviceFailed, State::kDrain},
    {State::kDrain, Event::kDone, State::kTeardown},
    {State::kDrain, Event::kDrainTimedOut, State::kStuck},
    {State::kTeardown, Event::kDone, State::kBackoff},
    {State::kBackoff, Event::kDone, State::kInit},

    {State::kLockedOut, Event::kPinChanged, State::kTeardown},
    {State::kFatalConfig, Event::kDone, State::kInit},
};

struct StateRow {
  State state;
  std::string_view name;
  DeviceState device_state;
};
constexpr StateRow kStates[] = {
    {State::kDown, "down", DeviceState::kDown},
    {State::kInit, "initialising the module", DeviceState::kDown},
    {State::kFind, "looking for the token", DeviceState::kDown},
    {State::kLogin, "logging in", DeviceState::kDown},
    {State::kBind, "testing mechanisms and keys", DeviceState::kDown},
    {State::kReady, "ready", DeviceState::kReady},
    {State::kDrain, "waiting for calls under way", DeviceState::kDown},
    {State::kTeardown, "disconnecting", DeviceState::kDown},
    {State::kBackoff, "waiting before the next attempt", DeviceState::kDown},
    {State::kLockedOut, "locked out", DeviceState::kLockedOut},
    {State::kFatalConfig, "misconfigured", DeviceState::kFatalConfig},
    {State::kStuck, "stuck in the module", DeviceState::kDown},
};

const StateRow& RowOf(State state) {
  return *std::ranges::find(kStates, state, &StateRow::state);
}

}  // namespace

ConnectionState Next(ConnectionState state, ConnectionEvent event) {
  const auto* const row = std::ranges::find_if(kTransitions, [&](const Transition& transition) {
    return transition.from == state && transition.event == event;
  });
  return row == std::end(kTransitions) ? state : row->to;
}

DeviceState PublicState(ConnectionState state) { return RowOf(state).device_state; }
std::string_view ConnectionStateName(ConnectionState state) { return RowOf(state).name; }

bool ReconnectBudget::Spend(SteadyTime now) {
  while (left_ < kMost && now - counted_ >= kOneMoreAfter) {
    ++left_;
    counted_ += kOneMoreAfter;
  }
  if (left_ == kMost) {
    counted_ = now;  // what is full earns nothing
  }
  if (left_ == 0) return false;
  --left_;
  return true;
}

std::chrono::milliseconds BackoffPause(unsigned attempt, std::chrono::milliseconds first,
                                       std::chrono::milliseconds longest) {
  if (attempt == 0) return std::chrono::milliseconds(0);
  constexpr unsigned kMostDoublings = 16;
  const auto doubled = first * (1U << std::min(attempt - 1, kMostDoublings));
  const auto pause = std::min<std::chrono::milliseconds>(doubled, longest);
  std::uint8_t dice = 0;
  FillRandom({&dice, 1});
  return pause - pause * dice / (4 * 256);
}

}  // namespace kms::pkcs11
