// SPDX-License-Identifier: Apache-2.0
// Refusal: why the front answers a request by itself.
#pragma once

#include <string_view>

namespace kms::api {

struct Refusal {
  int status = 0;           // 0: not refused
  std::string_view reason;  // constant text, may reach the client; empty for a bare status

  [[nodiscard]] explicit operator bool() const { return status != 0; }
};

}  // namespace kms::api
