// SPDX-License-Identifier: Apache-2.0
// `kmsd hsm-test`: the qualification of any PKCS#11 module, without a server.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"

namespace kms::api {

// The child that loads the library.
inline constexpr std::string_view kHsmQualifyCommand = "hsm-qualify";

struct HsmTestOptions {
  // Either a token of a configuration file …
  std::string config;
  std::string hsm = "default";
  // … or one described here; what is given here wins over the file.
  std::string module;
  std::string token_label;
  std::string token_serial;
  std::string module_init;
  std::string pin;  // file:PATH, env:NAME, credential:NAME or fd:NUMBER
  std::string mechanism;
  std::string pass_environment;
  std::string softhsm_config;
  bool network = false;

  std::string duration = "10s";
  std::string step_limit = "60s";
  std::vector<std::uint32_t> threads{1, 2, 4, 8, 16};
  std::vector<std::string> skip;  // sections
  bool disruptive = false;
  bool json = false;
  bool quiet = false;  // no progress
};

// Prints the report to standard output, progress to standard error. Returns the exit status: 0
// usable, 1 not. Errors: kInvalidArgument for what was asked; as QualifyToken.
Result<int> HsmTest(const HsmTestOptions& options);

// main of the child.
int HsmQualifyMain();

}  // namespace kms::api
