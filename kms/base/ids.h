// SPDX-License-Identifier: Apache-2.0
// Uuid: a random 128-bit identifier (RFC 9562 version 4).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms {

class Uuid {
 public:
  static constexpr std::size_t kBytes = 16;

  // All zero: names nothing.
  Uuid() = default;

  static Uuid Random();
  // Errors: kInvalidArgument unless `bytes` has exactly 16.
  static Result<Uuid> FromBytes(ByteView bytes);
  // Accepts the 36-character form in either case. Errors: kInvalidArgument.
  static Result<Uuid> Parse(std::string_view text);

  [[nodiscard]] ByteView View() const { return bytes_; }
  // "6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11"
  [[nodiscard]] std::string ToString() const;

  friend auto operator<=>(const Uuid&, const Uuid&) = default;

 private:
  std::array<std::uint8_t, kBytes> bytes_{};
};

}  // namespace kms
