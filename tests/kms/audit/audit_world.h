// SPDX-License-Identifier: Apache-2.0
// Helpers for audit tests: an audit file in memory that can fail, tear and stall, a temporary file,
// and looking at lines.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <vector>

#include "kms/audit/audit_file.h"
#include "kms/audit/verifier.h"

namespace kms::testing {

// What an audit file holds and how it misbehaves; shared by the test and the log's thread.
class AuditDisk {
 public:
  // Writes fail after `torn_bytes` more bytes, until Heal. Truncation fails too if asked.
  void Fail(std::size_t torn_bytes = 0, bool truncate_too = false) {
    const std::lock_guard lock(mutex_);
    failing_ = true;
    torn_bytes_ = torn_bytes;
    truncate_fails_ = truncate_too;
  }
  void FailSync(bool fail) {
    const std::lock_guard lock(mutex_);
    sync_fails_ = fail;
  }
  void Heal() {
    const std::lock_guard lock(mutex_);
    failing_ = truncate_fails_ = sync_fails_ = false;
  }
  // Writes do not return while stalled.
  void Stall(bool stall) {
    {
      const std::lock_guard lock(mutex_);
      stalled_ = stall;
    }
    changed_.notify_all();
  }
  // The path leads to another, empty file from now on.
  void Replace() {
    const std::lock_guard lock(mutex_);
    archived_.push_back(contents_);
    contents_.clear();
    ++generation_;
  }
  void Set(std::string contents) {
    const std::lock_guard lock(mutex_);
    contents_ = std::move(contents);
  }
  [[nodiscard]] std::string contents() const {
    const std::lock_guard lock(mutex_);
    return contents_;
  }
  [[nodiscard]] std::vector<std::string> archived() const {
    const std::lock_guard lock(mutex_);
    return archived_;
  }

  static AuditFileOpener Opener(std::shared_ptr<AuditDisk> disk) {
    return [disk]() -> Result<std::unique_ptr<AuditFile>> {
      return std::make_unique<File>(disk, disk->Generation());
    };
  }

 private:
  class File final : public AuditFile {
   public:
    File(std::shared_ptr<AuditDisk> disk, int generation)
        : disk_(std::move(disk)), generation_(generation) {}
    Result<std::uint64_t> Size() override { return disk_->contents().size(); }
    Result<std::string> ReadAt(std::uint64_t offset, std::size_t size) override {
      const std::string all = disk_->contents();
      return offset >= all.size() ? std::string() : all.substr(offset, size);
    }
    Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
      return disk_->Write(offset, bytes);
    }
    Status Sync() override {
      const std::lock_guard lock(disk_->mutex_);
      return disk_->sync_fails_ ? Failure() : Ok();
    }
    Status Truncate(std::uint64_t size) override {
      const std::lock_guard lock(disk_->mutex_);
      if (disk_->truncate_fails_) {
        return Failure();
      }
      disk_->contents_.resize(size);
      return Ok();
    }
    bool IsStillNamed() override { return generation_ == disk_->Generation(); }

   private:
    std::shared_ptr<AuditDisk> disk_;
    int generation_;
  };

  static Status Failure() {
    return Unavailable("the audit log is not available", "No space left on device");
  }

  int Generation() const {
    const std::lock_guard lock(mutex_);
    return generation_;
  }

  Status Write(std::uint64_t offset, std::string_view bytes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !stalled_; });
    const std::string_view kept = failing_ ? bytes.substr(0, torn_bytes_) : bytes;
    contents_.resize(std::max<std::size_t>(contents_.size(), offset + kept.size()));
    std::ranges::copy(kept, contents_.begin() + static_cast<std::ptrdiff_t>(offset));
    return failing_ ? Failure() : Ok();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string contents_;
  std::vector<std::string> archived_;
  int generation_ = 0;
  std::size_t torn_bytes_ = 0;
  bool failing_ = false;
  bool truncate_fails_ = false;
  bool sync_fails_ = false;
  bool stalled_ = false;
};

class AuditDirectory {
 public:
  AuditDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kms_audit_XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data()) == nullptr ? "" : pattern;
  }
  ~AuditDirectory() {
    std::error_code ignored;  // a leftover directory does no harm
    std::filesystem::remove_all(directory_, ignored);
  }
  AuditDirectory(const AuditDirectory&) = delete;
  AuditDirectory& operator=(const AuditDirectory&) = delete;

  [[nodiscard]] std::string path(const std::string& name = "audit.log") const {
    return directory_ + "/" + name;
  }

 private:
  std::string directory_;
};

inline std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteWholeFile(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

// The lines of `text`, without line feeds.
inline std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t start = 0;
  for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n', start)) {
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

inline AuditReport VerifyText(std::string_view text, AuditVerifierOptions options = {}) {
  AuditVerifier verifier(std::move(options));
  verifier.StartFile("audit.log");
  verifier.Feed(text);
  return verifier.Finish();
}

}  // namespace kms::testing
