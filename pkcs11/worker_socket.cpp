// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/worker_socket.h"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "pkcs11/worker_protocol.h"

namespace kms::pkcs11 {

namespace {

Error Gone(const std::string& detail) { return Unavailable("HSM worker is gone", detail); }

int FlagsOf(TransferMode mode) { return mode == TransferMode::kNeverBlocks ? MSG_DONTWAIT : 0; }

}  // namespace

Result<SocketPair> MakeSocketPair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return Unavailable("HSM worker cannot be connected", std::strerror(errno));
  }
  return SocketPair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Result<FrameBuffer> FrameBuffer::Create() {
  void* const memory = ::mmap(nullptr, kMaxWorkerFrameBytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return Unavailable("no memory for HSM requests", std::strerror(errno));
  }
  FrameBuffer buffer({static_cast<std::uint8_t*>(memory), kMaxWorkerFrameBytes});
  if (::mlock(memory, kMaxWorkerFrameBytes) != 0 ||
      ::madvise(memory, kMaxWorkerFrameBytes, MADV_DONTDUMP) != 0) {
    return Unavailable("memory for HSM requests cannot be locked; raise the memlock limit",
                       std::strerror(errno));
  }
  return buffer;
}

FrameBuffer::~FrameBuffer() {
  if (!memory_.empty()) {
    OPENSSL_cleanse(memory_.data(), memory_.size());
    ::munmap(memory_.data(), memory_.size());
  }
}

void FrameBuffer::Wipe(std::size_t used) { OPENSSL_cleanse(memory_.data(), used); }

Status SendFrame(int socket, ByteView frame, TransferMode mode) {
  while (true) {
    if (::send(socket, frame.data(), frame.size(), MSG_NOSIGNAL | FlagsOf(mode)) >= 0) {
      return Ok();
    }
    if (errno == EAGAIN) {
      return MakeError(ErrorCode::kResourceExhausted, "HSM worker is busy", "its socket is full");
    }
    if (errno != EINTR) {
      return Gone(std::strerror(errno));
    }
  }
}

Result<ByteView> ReceiveFrame(int socket, const FrameBuffer& buffer, TransferMode mode) {
  iovec part{.iov_base = buffer.memory().data(), .iov_len = buffer.memory().size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  while (true) {
    const ssize_t received = ::recvmsg(socket, &message, FlagsOf(mode) | MSG_CMSG_CLOEXEC);
    if (received > 0 && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) {
      return ByteView(buffer.memory().first(static_cast<std::size_t>(received)));
    }
    if (received > 0) {
      return InvalidArgument("malformed frame", "packet is too large");
    }
    if (received == 0) {
      return Gone("the connection ended");
    }
    if (errno == EAGAIN) {
      return ByteView();
    }
    if (errno != EINTR) {
      return Gone(std::strerror(errno));
    }
  }
}

}  // namespace kms::pkcs11
