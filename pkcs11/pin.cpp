// SPDX-License-Identifier: Apache-2.0
// PIN sources. The PIN passes through locked memory only.
#include "pkcs11/pin.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

namespace kms::pkcs11 {
namespace {

constexpr std::size_t kLongestPin = 255;

// Owns an open file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  const int fd_;
};

Error BadPin(const std::string& what, const std::string& detail = {}) {
  return FailedPrecondition("the HSM PIN cannot be used: " + what, detail);
}

Result<SecretBytes> CheckedPin(ByteView text) {
  if (!text.empty() && text.back() == '\n') text = text.first(text.size() - 1);
  if (!text.empty() && text.back() == '\r') text = text.first(text.size() - 1);
  if (text.empty()) return BadPin("its source is empty; write the PIN there");
  if (text.size() > kLongestPin) return BadPin("it is longer than 255 bytes; check its source");
  if (std::ranges::find(text, std::uint8_t{0}) != text.end()) {
    return BadPin("it holds a NUL byte; write it as text");
  }
  return SecretBytes::CopyOf(text);
}

Result<SecretBytes> ReadToEnd(int fd) {
  SecretBytes buffer = KMS_TRY(SecretBytes::OfSize(kLongestPin + 3));
  std::size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got = ::read(fd, buffer.MutableView().data() + size, buffer.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return BadPin("its source cannot be read", std::strerror(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  return CheckedPin(buffer.View().first(size));
}

Result<SecretBytes> ReadFile(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (file.fd() < 0) {
    return BadPin("its file cannot be opened; create it with mode 0600 for this user",
                  path + ": " + std::strerror(errno));
  }
  struct stat info{};
  if (::fstat(file.fd(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return BadPin("its source is not a regular file", path);
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return BadPin("others may read its file; run chmod 600 on it", path);
  }
  if (info.st_uid != 0 && info.st_uid != ::geteuid()) {
    return BadPin("its file belongs to another user; make this user or root its owner", path);
  }
  return ReadToEnd(file.fd());
}

Result<SecretBytes> ReadCredential(const std::string& name) {
  const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr) {
    return BadPin("there is no systemd credential; add LoadCredential= to the unit", name);
  }
  if (name.empty() || name.find('/') != std::string::npos) {
    return BadPin("a credential's name is not a path; correct the configuration", name);
  }
  return ReadFile(std::string(directory) + "/" + name);
}

Result<SecretBytes> ReadDescriptor(const std::string& number) {
  int fd = -1;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), fd);
  if (error != std::errc() || end != number.data() + number.size() || fd < 0) {
    return BadPin("its descriptor is not a number; correct the configuration", number);
  }
  const Descriptor owned(fd);
  return ReadToEnd(owned.fd());
}

Result<SecretBytes> ReadEnvironment(const std::string& name) {
  char* const value = std::getenv(name.c_str());
  if (value == nullptr) return BadPin("its environment variable is not set", name);
  auto pin = CheckedPin(AsBytes(value));
  OPENSSL_cleanse(value, std::strlen(value));
  ::unsetenv(name.c_str());
  return pin;
}

}  // namespace

Result<SecretBytes> ReadPin(const PinSource& source) {
  switch (source.kind) {
    case PinSource::Kind::kFile: return ReadFile(source.value);
    case PinSource::Kind::kSystemdCredential: return ReadCredential(source.value);
    case PinSource::Kind::kDescriptor: return ReadDescriptor(source.value);
    case PinSource::Kind::kEnvironment: return ReadEnvironment(source.value);
  }
  return Internal("unknown PIN source");
}

Result<SecretBytes> PinReader::Read() {
  if (!kept_.empty()) return kept_.Clone();
  SecretBytes pin = KMS_TRY(ReadPin(source_));
  if (source_.kind == PinSource::Kind::kDescriptor ||
      source_.kind == PinSource::Kind::kEnvironment) {
    kept_ = KMS_TRY(pin.Clone());
  }
  return pin;
}

}  // namespace kms::pkcs11
