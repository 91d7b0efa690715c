// SPDX-License-Identifier: Apache-2.0
// FrameBuffer and the two calls that move a frame over a packet socket.
#pragma once

#include <cstddef>
#include <utility>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/unique_fd.h"

namespace kms::pkcs11 {

struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};

// Two connected packet sockets, closed on exec. Errors: kUnavailable (descriptors exhausted).
Result<SocketPair> MakeSocketPair();

// Memory for one frame in transit, which may hold keys: locked, left out of core dumps, wiped
// after every use. Apart from the secret arena, which is for keys that stay.
class FrameBuffer {
 public:
  // Errors: kUnavailable when no memory can be locked.
  static Result<FrameBuffer> Create();

  FrameBuffer(FrameBuffer&& other) noexcept : memory_(std::exchange(other.memory_, {})) {}
  FrameBuffer& operator=(FrameBuffer&& other) noexcept {
    std::swap(memory_, other.memory_);
    return *this;
  }
  FrameBuffer(const FrameBuffer&) = delete;
  FrameBuffer& operator=(const FrameBuffer&) = delete;
  ~FrameBuffer();

  [[nodiscard]] MutableByteView memory() const { return memory_; }
  // Wipes the part that was used.
  void Wipe(std::size_t used);

 private:
  explicit FrameBuffer(MutableByteView memory) : memory_(memory) {}

  MutableByteView memory_;
};

enum class TransferMode : bool { kMayBlock, kNeverBlocks };

// Sends `frame` as one packet; never raises SIGPIPE. Errors: kResourceExhausted (the socket is full
// and the mode forbids to wait), kUnavailable "HSM worker is gone".
Status SendFrame(int socket, ByteView frame, TransferMode mode);

// Receives one packet into `buffer` and returns the part filled; empty when there is none now
// (kNeverBlocks). Errors: kUnavailable "HSM worker is gone" at the end of the connection,
// kInvalidArgument for a packet that is empty or too large.
Result<ByteView> ReceiveFrame(int socket, const FrameBuffer& buffer, TransferMode mode);

}  // namespace kms::pkcs11
