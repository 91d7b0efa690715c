// SPDX-License-Identifier: Apache-2.0
// TokenOptions: which token to bind and how to log in. Holds no secret, only where the PIN is.
#pragma once

#include <cstdint>
#include <string>

#include "kms/base/secret_source.h"

namespace kms::pkcs11 {

using PinSource = SecretSource;

struct TokenOptions {
  std::string module_path;      // absolute
  std::string module_init;      // C_INITIALIZE_ARGS.pReserved, for example NSS's string; may be empty
  std::string token_label;      // required; blanks at the end do not count
  std::string token_serial;     // when not empty, must match
  PinSource pin;
  std::uint32_t sessions = 4;   // pool size beside the anchor
  // For SoftHSM: its configuration file (becomes SOFTHSM2_CONF in the worker) and the directory
  // that holds lock file and backup copies; empty for other modules.
  std::string softhsm_config;
  std::string softhsm_state_directory;
  // Mechanisms to try, best first, by WrapMechanismName; empty: the order of the house.
  std::string pinned_mechanism;
  // The module may open network sockets: an HSM that is reached over the network.
  bool network = false;
  // Resident memory of the worker above which it is replaced; 0: no limit.
  std::uint64_t memory_limit_bytes = std::uint64_t{512} << 20U;
  // Where it is remembered that a PIN was refused, so that no restart tries it again; empty:
  // softhsm_state_directory, and without that one memory alone.
  std::string state_directory;
};

}  // namespace kms::pkcs11
