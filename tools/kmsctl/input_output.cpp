// SPDX-License-Identifier: Apache-2.0
// Reads and writes with plain descriptors, so that no stream keeps an unwiped copy of plaintext.
#include "tools/kmsctl/input_output.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace kms::tools {

namespace {

constexpr std::size_t kFirstReadBytes = std::size_t{64} << 10U;

class Descriptor {
 public:
  Descriptor(int value, bool owned) : value_(value), owned_(owned) {}
  Descriptor(Descriptor&& other) noexcept
      : value_(other.value_), owned_(std::exchange(other.owned_, false)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (owned_) {
      ::close(value_);
    }
  }
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
  bool owned_;
};

Error FileError(std::string_view verb, std::string_view file, int error) {
  return MakeError(ErrorCode::kInternal, "cannot " + std::string(verb) + " " + std::string(file) +
                                             ": " + std::strerror(error));
}

Result<Descriptor> OpenInput(const InputSource& source) {
  if (source.file.empty() || source.file == "-") {
    if (::isatty(STDIN_FILENO) == 1) {
      IgnoreError(WriteStandardError(AsBytes("reading from the terminal; end with Ctrl-D\n")),
                  "only a hint");
    }
    return Descriptor(STDIN_FILENO, false);
  }
  const int descriptor = ::open(source.file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return InvalidArgument("cannot read " + source.file + ": " + std::strerror(errno));
  }
  return Descriptor(descriptor, true);
}

// 0 at the end of the input.
Result<std::size_t> ReadSome(int descriptor, MutableByteView space) {
  while (true) {
    const ssize_t got = ::read(descriptor, space.data(), space.size());
    if (got >= 0) {
      return static_cast<std::size_t>(got);
    }
    if (errno != EINTR) {
      return InvalidArgument(std::string("cannot read the input: ") + std::strerror(errno));
    }
  }
}

// Doubles the room of `buffer`, keeping its first `used` bytes.
void Grow(PlaintextBuffer& buffer, std::size_t used) {
  PlaintextBuffer larger;
  const MutableByteView room = larger.Reset(std::max(kFirstReadBytes, buffer.size() * 2));
  std::ranges::copy(buffer.View().first(used), room.begin());
  buffer = std::move(larger);
}

Error TooLong() {
  return InvalidArgument("the input is longer than " + std::to_string(kMaxInputBytes >> 20U) +
                         " MiB: encrypt it on this side with a key from `kmsctl datakey`");
}

Status WriteAll(int descriptor, ByteView bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(descriptor, bytes.data(), bytes.size());
    if (wrote < 0 && errno != EINTR) {
      return FileError("write", name, errno);
    }
    bytes = bytes.subspan(wrote > 0 ? static_cast<std::size_t>(wrote) : 0);
  }
  return Ok();
}

}  // namespace

Result<PlaintextBuffer> ReadInput(const InputSource& source) {
  PlaintextBuffer buffer;
  if (source.argument.has_value() && !source.file.empty()) {
    return InvalidArgument("give the input as an argument or with --in, not both");
  }
  if (source.argument.has_value() && *source.argument != "-") {
    std::ranges::copy(AsBytes(*source.argument), buffer.Reset(source.argument->size()).begin());
    return buffer;
  }
  const Descriptor input = KMS_TRY(OpenInput(source));
  std::size_t used = 0;
  while (true) {
    if (used == buffer.size()) {
      Grow(buffer, used);
    }
    const std::size_t got = KMS_TRY(ReadSome(input.get(), buffer.MutableView().subspan(used)));
    if (got == 0) {
      buffer.Truncate(used);
      return buffer;
    }
    used += got;
    if (used > kMaxInputBytes) {
      return TooLong();
    }
  }
}

Status ForEachLine(const InputSource& source, const std::function<Status(std::string_view)>& use) {
  if (source.argument.has_value() && *source.argument != "-") {
    return InvalidArgument("--lines reads from --in FILE or standard input, not from an argument");
  }
  const Descriptor input = KMS_TRY(OpenInput(source));
  PlaintextBuffer buffer;
  std::size_t used = 0;  // bytes of an unfinished line at the start of `buffer`
  while (true) {
    if (used == buffer.size()) {
      if (used > kMaxInputBytes) {
        return TooLong();
      }
      Grow(buffer, used);
    }
    const std::size_t got = KMS_TRY(ReadSome(input.get(), buffer.MutableView().subspan(used)));
    used += got;
    std::string_view rest = AsText(buffer.View().first(used));
    for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      KMS_TRY(use(rest.substr(0, end)));
      rest.remove_prefix(end + 1);
    }
    if (got == 0) {
      return rest.empty() ? Ok() : use(rest);
    }
    std::memmove(buffer.MutableView().data(), rest.data(), rest.size());
    used = rest.size();
  }
}

Result<OutputSink> OutputSink::Open(std::string file) {
  if (file.empty() || file == "-") {
    return OutputSink({}, {}, STDOUT_FILENO);
  }
  std::string temporary = file + ".XXXXXX";
  const int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0) {
    return FileError("write next to", file, errno);
  }
  return OutputSink(std::move(file), std::move(temporary), descriptor);
}

OutputSink::OutputSink(OutputSink&& other) noexcept
    : file_(std::move(other.file_)),
      temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

OutputSink::~OutputSink() {
  if (!temporary_.empty()) {
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
  }
}

Status OutputSink::Write(ByteView bytes) {
  return WriteAll(descriptor_, bytes, file_.empty() ? "standard output" : file_);
}

Status OutputSink::Commit() {
  if (temporary_.empty()) {
    return Ok();
  }
  if (::fsync(descriptor_) != 0 || ::rename(temporary_.c_str(), file_.c_str()) != 0) {
    return FileError("write", file_, errno);
  }
  ::close(descriptor_);
  temporary_.clear();
  return Ok();
}

bool OutputSink::is_terminal() const { return file_.empty() && ::isatty(descriptor_) == 1; }

Status WriteStandardOutput(ByteView bytes) {
  return WriteAll(STDOUT_FILENO, bytes, "standard output");
}

Status WriteStandardError(ByteView bytes) {
  return WriteAll(STDERR_FILENO, bytes, "standard error");
}

Status Confirm(std::string_view question, bool assume_yes, Undo undo) {
  if (assume_yes) {
    return Ok();
  }
  const bool is_final = undo == Undo::kImpossible;
  if (::isatty(STDIN_FILENO) != 1) {
    return InvalidArgument(std::string(is_final ? "this cannot be undone" : "nobody can be asked") +
                           ": add --yes to confirm it");
  }
  KMS_TRY(WriteStandardError(AsBytes(std::string(question) +
                                     (is_final ? " This cannot be undone." : "") + " [y/N] ")));
  std::string answer;
  char byte = 0;
  while (answer.size() < 16 && ::read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n') {
    answer += byte;
  }
  if (answer == "y" || answer == "Y" || answer == "yes") {
    return Ok();
  }
  return InvalidArgument("not confirmed: nothing was changed");
}

}  // namespace kms::tools
