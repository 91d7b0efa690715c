// SPDX-License-Identifier: Apache-2.0
#include "api/recovery_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "kms/base/secret_bytes.h"
#include "kms/base/unique_fd.h"

namespace kms::api {

namespace {

Error CannotWrite(const std::string& path, int error) {
  return Unavailable("cannot write " + path + ": " + std::strerror(error));
}

Status WriteAll(int descriptor, ByteView content) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return Unavailable("write");
    }
    content = content.subspan(static_cast<std::size_t>(written));
  }
  return ::fsync(descriptor) == 0 ? Ok() : Status(Unavailable("fsync"));
}

// The whole file, wiped with its buffer.
Result<PlaintextBuffer> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0) {
    return NotFound("cannot read " + path);
  }
  if (static_cast<std::size_t>(size) > kMaxRecoveryFileBytes) {
    return InvalidArgument(path + " is too large to be a file of a recovery");
  }
  PlaintextBuffer content;
  const MutableByteView out = content.Reset(static_cast<std::size_t>(size));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(out.data()), size)) {
    return NotFound("cannot read " + path);
  }
  return content;
}

Error InFile(const std::string& path, const Error& error) {
  return MakeError(error.code, path + ": " + error.public_message, error.detail);
}

}  // namespace

std::string CeremonyKeyPath(const std::string& package_path) { return package_path + ".key"; }

Status WriteNewFile(const std::string& path, ByteView content) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0 && errno == EEXIST) {
    return InvalidArgument(path + " exists already; name another file or move it away");
  }
  if (file.get() < 0) {
    return CannotWrite(path, errno);
  }
  if (!WriteAll(file.get(), content).has_value()) {
    const int error = errno;
    ::unlink(path.c_str());
    return CannotWrite(path, error);
  }
  return Ok();
}

Result<RecoveryPackage> ReadRecoveryPackage(const std::string& path) {
  const PlaintextBuffer content = KMS_TRY(ReadWhole(path));
  Result<RecoveryPackage> package = RecoveryPackage::Parse(AsText(content.View()));
  if (!package.has_value()) {
    return InFile(path, package.error());
  }
  return package;
}

Result<HolderPrivateKey> ReadCeremonyKey(const std::string& package_path) {
  const std::string path = CeremonyKeyPath(package_path);
  const PlaintextBuffer content = KMS_TRY(ReadWhole(path));
  Result<HolderPrivateKey> key = HolderPrivateKey::FromPem(AsText(content.View()), nullptr);
  if (!key.has_value()) {
    return InFile(path, key.error());
  }
  return key;
}

Result<std::vector<RecoveryAnswer>> ReadRecoveryAnswers(const std::vector<std::string>& paths) {
  std::vector<RecoveryAnswer> answers;
  for (const std::string& path : paths) {
    const PlaintextBuffer content = KMS_TRY(ReadWhole(path));
    Result<RecoveryAnswer> answer = RecoveryAnswer::Parse(AsText(content.View()));
    if (!answer.has_value()) {
      return InFile(path, answer.error());
    }
    answers.push_back(*std::move(answer));
  }
  return answers;
}

}  // namespace kms::api
