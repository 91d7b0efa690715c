// SPDX-License-Identifier: Apache-2.0
// Secrets pass through locked memory only.
#include "kms/base/secret_source.h"

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

#include "kms/base/unique_fd.h"

namespace kms {
namespace {

// Reads one secret; `what_` names it in errors.
class Reader {
 public:
  explicit Reader(std::string_view what) : what_(what) {}

  Result<SecretBytes> FromFile(const std::string& path) const {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (file.get() < 0) {
      return Bad("its file cannot be opened; create it with mode 0600 for this user",
                 path + ": " + std::strerror(errno));
    }
    struct stat info{};
    if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
      return Bad("its source is not a regular file", path);
    }
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
      return Bad("others may read its file; run chmod 600 on it", path);
    }
    if (info.st_uid != 0 && info.st_uid != ::geteuid()) {
      return Bad("its file belongs to another user; make this user or root its owner", path);
    }
    return ReadToEnd(file.get());
  }

  Result<SecretBytes> FromCredential(const std::string& name) const {
    const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
    if (directory == nullptr) {
      return Bad("there is no systemd credential; add LoadCredential= to the unit", name);
    }
    if (name.empty() || name.find('/') != std::string::npos) {
      return Bad("a credential's name is not a path; correct the configuration", name);
    }
    return FromFile(std::string(directory) + "/" + name);
  }

  Result<SecretBytes> FromDescriptor(const std::string& number) const {
    int fd = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), fd);
    if (error != std::errc() || end != number.data() + number.size() || fd < 0) {
      return Bad("its descriptor is not a number; correct the configuration", number);
    }
    const UniqueFd owned(fd);
    return ReadToEnd(owned.get());
  }

  Result<SecretBytes> FromEnvironment(const std::string& name) const {
    char* const value = std::getenv(name.c_str());
    if (value == nullptr) return Bad("its environment variable is not set", name);
    auto secret = Checked(AsBytes(value));
    OPENSSL_cleanse(value, std::strlen(value));
    ::unsetenv(name.c_str());
    return secret;
  }

 private:
  [[nodiscard]] Error Bad(const std::string& problem, const std::string& detail = {}) const {
    return FailedPrecondition("the " + std::string(what_) + " cannot be used: " + problem, detail);
  }

  [[nodiscard]] Result<SecretBytes> Checked(ByteView text) const {
    if (!text.empty() && text.back() == '\n') text = text.first(text.size() - 1);
    if (!text.empty() && text.back() == '\r') text = text.first(text.size() - 1);
    if (text.empty()) return Bad("its source is empty; write it there");
    if (text.size() > kLongestSecret) return Bad("it is longer than 255 bytes; check its source");
    if (std::ranges::find(text, std::uint8_t{0}) != text.end()) {
      return Bad("it holds a NUL byte; write it as text");
    }
    return SecretBytes::CopyOf(text);
  }

  [[nodiscard]] Result<SecretBytes> ReadToEnd(int fd) const {
    SecretBytes buffer = KMS_TRY(SecretBytes::OfSize(kLongestSecret + 3));
    std::size_t size = 0;
    while (size < buffer.size()) {
      const ssize_t got = ::read(fd, buffer.MutableView().data() + size, buffer.size() - size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Bad("its source cannot be read", std::strerror(errno));
      if (got == 0) break;
      size += static_cast<std::size_t>(got);
    }
    return Checked(buffer.View().first(size));
  }

  std::string_view what_;
};

}  // namespace

Result<SecretBytes> ReadSecret(const SecretSource& source, std::string_view what) {
  const Reader reader(what);
  switch (source.kind) {
    case SecretSource::Kind::kFile: return reader.FromFile(source.value);
    case SecretSource::Kind::kSystemdCredential: return reader.FromCredential(source.value);
    case SecretSource::Kind::kDescriptor: return reader.FromDescriptor(source.value);
    case SecretSource::Kind::kEnvironment: return reader.FromEnvironment(source.value);
  }
  return Internal("unknown secret source");
}

}  // namespace kms
