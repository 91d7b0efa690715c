// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::pkcs11::DecodeRequest, DecodeReply, EncodeRequest, EncodeReply.
// Whatever decodes must encode to the very same frame: no two frames mean the same message.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "pkcs11/worker_protocol.h"
#include "tests/fuzz/secret_memory.h"

namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kms::testing::PrepareSecretMemory();
  const kms::ByteView frame(data, std::min(size, kms::pkcs11::kMaxWorkerFrameBytes));
  kms::Bytes out(kms::pkcs11::kMaxWorkerFrameBytes);
  if (const auto request = kms::pkcs11::DecodeRequest(frame); request.has_value()) {
    const auto encoded =
        kms::pkcs11::EncodeRequest(request->id, request->budget, request->body, out);
    Require(encoded.has_value() && std::ranges::equal(*encoded, frame));
  }
  if (const auto reply = kms::pkcs11::DecodeReply(frame); reply.has_value()) {
    const auto encoded = kms::pkcs11::EncodeReply(*reply, out);
    Require(encoded.has_value() && encoded->size() <= frame.size());
  }
  return 0;
}
