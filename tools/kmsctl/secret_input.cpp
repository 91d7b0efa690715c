// SPDX-License-Identifier: Apache-2.0
#include "tools/kmsctl/secret_input.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kms/base/bytes.h"
#include "kms/base/unique_fd.h"
#include "tools/kmsctl/input_output.h"

namespace kms::tools {
namespace {

constexpr std::size_t kMaxLineBytes = 4096;

// Echo is off while it lives.
class Unechoed {
 public:
  explicit Unechoed(int terminal) : terminal_(terminal) {
    known_ = ::tcgetattr(terminal_, &before_) == 0;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (known_) {
      ::tcsetattr(terminal_, TCSAFLUSH, &quiet);
    }
  }
  ~Unechoed() {
    if (known_) {
      ::tcsetattr(terminal_, TCSAFLUSH, &before_);
    }
  }
  Unechoed(const Unechoed&) = delete;
  Unechoed& operator=(const Unechoed&) = delete;

 private:
  int terminal_;
  termios before_{};
  bool known_ = false;
};

// Byte by byte, so that what follows the line stays with whoever reads it.
Result<PlaintextBuffer> ReadLine(int descriptor) {
  PlaintextBuffer line;
  const MutableByteView room = line.Reset(kMaxLineBytes + 1);
  std::size_t used = 0;
  while (used < room.size()) {
    const ssize_t got = ::read(descriptor, room.data() + used, 1);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return InvalidArgument(std::string("cannot read the secret: ") + std::strerror(errno));
    }
    if (got == 0 || room[used] == '\n') {
      if (used > 0 && room[used - 1] == '\r') {
        --used;
      }
      line.Truncate(used);
      return used > 0 ? Result<PlaintextBuffer>(std::move(line))
                      : InvalidArgument("the secret is empty");
    }
    ++used;
  }
  return InvalidArgument("the secret is longer than 4096 bytes");
}

UniqueFd OpenTerminal() { return UniqueFd(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)); }

}  // namespace

bool HasTerminal() { return OpenTerminal().get() >= 0; }

Result<PlaintextBuffer> ReadSecretLine(const std::string& file, std::string_view question) {
  if (file == "-") {
    return ReadLine(STDIN_FILENO);
  }
  if (!file.empty()) {
    const UniqueFd source(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (source.get() < 0) {
      return InvalidArgument("cannot read " + file + ": " + std::strerror(errno));
    }
    return ReadLine(source.get());
  }
  const UniqueFd terminal = OpenTerminal();
  if (terminal.get() < 0) {
    return InvalidArgument(
        "there is no terminal to ask on: name a file that holds the secret, or "
        "- for standard input");
  }
  IgnoreError(WriteStandardError(AsBytes(question)), "the answer can be typed without it");
  Result<PlaintextBuffer> line = [&terminal] {
    const Unechoed unechoed(terminal.get());
    return ReadLine(terminal.get());
  }();
  IgnoreError(WriteStandardError(AsBytes("\n")), "only the line's end");
  return line;
}

}  // namespace kms::tools
