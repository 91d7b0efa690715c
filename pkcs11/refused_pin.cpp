// SPDX-License-Identifier: Apache-2.0
// The file, one per token, for its owner alone:
//
//   version(1) = 1 | salt(16) | digest(32)
//
// digest = scrypt(PIN, salt; N 2^15, r 8, p 1). Slow, because PINs are short; and what it protects
// opens nothing: the token refused it.
#include "pkcs11/refused_pin.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "kms/base/digest.h"
#include "kms/base/random.h"

namespace kms::pkcs11 {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kFileBytes = 1 + kSaltBytes + kDigestBytes;
constexpr std::uint64_t kCost = 1U << 15U;
constexpr std::uint64_t kMostMemory = 64U << 20U;
constexpr std::size_t kNameBytes = 8;

// Tokens are told apart by all that the configuration says of them.
std::string FileFor(const TokenOptions& options) {
  const std::string& directory =
      options.state_directory.empty() ? options.softhsm_state_directory : options.state_directory;
  if (directory.empty()) return "";
  const Sha256Digest name = Sha256(AsBytes(options.module_path + '\n' + options.module_init + '\n' +
                                           options.token_label + '\n' + options.token_serial));
  return directory + "/refused-pin-" + HexEncode(ByteView(name).first(kNameBytes));
}

std::string MarkerFor(const std::string& file) { return file + ".attempt"; }

Result<std::array<std::uint8_t, kDigestBytes>> Digest(const SecretBytes& pin, ByteView salt) {
  std::array<std::uint8_t, kDigestBytes> digest{};
  const auto* const text = reinterpret_cast<const char*>(pin.View().data());
  if (EVP_PBE_scrypt(text, pin.size(), salt.data(), salt.size(), kCost, 8, 1, kMostMemory,
                     digest.data(), digest.size()) != 1) {
    return Internal("EVP_PBE_scrypt");
  }
  return digest;
}

bool Exists(const std::string& path) {
  struct stat info{};
  return !path.empty() && ::lstat(path.c_str(), &info) == 0;
}

// Empty when it cannot be read whole.
Bytes ReadFile(const std::string& path) {
  Bytes content(kFileBytes + 1);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  const ssize_t size = fd < 0 ? 0 : ::read(fd, content.data(), content.size());
  if (fd >= 0) ::close(fd);
  content.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return content;
}

Status WriteFile(const std::string& path, ByteView content, bool durable) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                        S_IRUSR | S_IWUSR);
  const bool written =
      fd >= 0 &&
      ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      (!durable || ::fsync(fd) == 0);
  if (fd >= 0) ::close(fd);
  if (!written) return Unavailable("the refused PIN cannot be remembered", path);
  return Ok();
}

}  // namespace

RefusedPin::RefusedPin(const TokenOptions& options) : file_(FileFor(options)) {}

bool RefusedPin::Matches(const SecretBytes& pin) {
  if (saved_ && !Exists(file_)) {
    saved_ = false;
    refused_ = {};  // an operator removed the file: tried again
  }
  if (!refused_.empty() && refused_ == pin) return true;
  if (!Exists(file_) || saved_ || !FileMatches(pin)) return false;
  auto known = pin.Clone();
  if (known.has_value()) {
    refused_ = std::move(*known);
    saved_ = true;
  }
  return true;
}

bool RefusedPin::FileMatches(const SecretBytes& pin) const {
  const Bytes content = ReadFile(file_);
  if (content.size() != kFileBytes || content.front() != kVersion) return true;
  const auto digest = Digest(pin, ByteView(content).subspan(1, kSaltBytes));
  return !digest.has_value() ||
         EqualInConstantTime(*digest, ByteView(content).subspan(1 + kSaltBytes));
}

void RefusedPin::Remember(const SecretBytes& pin, bool lasting) {
  auto known = pin.Clone();
  if (known.has_value()) refused_ = std::move(*known);
  saved_ = lasting && !file_.empty() && Save(pin).has_value();
}

Status RefusedPin::Save(const SecretBytes& pin) const {
  Bytes content(kFileBytes, kVersion);
  const MutableByteView salt = MutableByteView(content).subspan(1, kSaltBytes);
  FillRandom(salt);
  const auto digest = KMS_TRY(Digest(pin, salt));
  std::ranges::copy(digest, content.begin() + 1 + kSaltBytes);
  const std::string draft = file_ + ".draft";
  KMS_TRY(WriteFile(draft, content, /*durable=*/true));
  if (::rename(draft.c_str(), file_.c_str()) != 0) {
    return Unavailable("the refused PIN cannot be remembered", file_);
  }
  return Ok();
}

void RefusedPin::Forget() {
  refused_ = {};
  saved_ = false;
  if (!file_.empty()) ::unlink(file_.c_str());
}

void RefusedPin::BeginAttempt() {
  if (file_.empty()) return;
  IgnoreError(WriteFile(MarkerFor(file_), {}, /*durable=*/false), "only a crash would miss it");
}

void RefusedPin::EndAttempt() {
  if (!file_.empty()) ::unlink(MarkerFor(file_).c_str());
}

bool RefusedPin::AttemptWasCut() const { return !file_.empty() && Exists(MarkerFor(file_)); }

}  // namespace kms::pkcs11
