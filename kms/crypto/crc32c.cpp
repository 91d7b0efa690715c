// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/crc32c.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace kms {

namespace internal {

namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41, bits reversed
constexpr std::size_t kSlice = 8;                  // bytes per step

static_assert(std::endian::native == std::endian::little, "slices are read as the CPU does");

using Table = std::array<std::uint32_t, 256>;

// tables[0] advances the code by one byte, tables[n] by that byte and n zero bytes.
constexpr std::array<Table, kSlice> MakeTables() {
  std::array<Table, kSlice> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t code = byte;
    for (int bit = 0; bit < 8; ++bit) {
      code = (code & 1U) != 0 ? code >> 1U ^ kPolynomial : code >> 1U;
    }
    tables[0][byte] = code;
  }
  for (std::size_t zeros = 1; zeros < kSlice; ++zeros) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[zeros - 1][byte];
      tables[zeros][byte] = before >> 8U ^ tables[0][before & 0xffU];
    }
  }
  return tables;
}

constexpr std::array<Table, kSlice> kTables = MakeTables();

std::uint64_t LoadSlice(const std::uint8_t* bytes) {
  std::uint64_t slice = 0;
  std::memcpy(&slice, bytes, sizeof(slice));
  return slice;
}

}  // namespace

std::uint32_t Crc32cByTable(ByteView bytes) {
  std::uint32_t code = ~0U;
  for (; bytes.size() >= kSlice; bytes = bytes.subspan(kSlice)) {
    std::uint64_t slice = LoadSlice(bytes.data()) ^ code;
    code = 0;
    for (std::size_t zeros = kSlice; zeros-- > 0; slice >>= 8U) {
      code ^= kTables[zeros][slice & 0xffU];
    }
  }
  for (const std::uint8_t byte : bytes) {
    code = code >> 8U ^ kTables[0][(code ^ byte) & 0xffU];
  }
  return ~code;
}

#if defined(__x86_64__)

bool HasCrc32cInstruction() {
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
}

__attribute__((target("sse4.2"))) std::uint32_t Crc32cByInstruction(ByteView bytes) {
  std::uint64_t code = ~0U;
  for (; bytes.size() >= kSlice; bytes = bytes.subspan(kSlice)) {
    code = __builtin_ia32_crc32di(code, LoadSlice(bytes.data()));
  }
  auto last = static_cast<std::uint32_t>(code);
  for (const std::uint8_t byte : bytes) {
    last = __builtin_ia32_crc32qi(last, byte);
  }
  return ~last;
}

#else

bool HasCrc32cInstruction() { return false; }
std::uint32_t Crc32cByInstruction(ByteView bytes) { return Crc32cByTable(bytes); }

#endif

}  // namespace internal

std::uint32_t Crc32c(ByteView bytes) {
  return internal::HasCrc32cInstruction() ? internal::Crc32cByInstruction(bytes)
                                          : internal::Crc32cByTable(bytes);
}

}  // namespace kms
