// SPDX-License-Identifier: Apache-2.0
// FaultVfs: a file system layer for SQLite that fails the n-th write or sync, and that can cut the
// power: writes that were not synced are then lost, kept or torn as a test asks.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <vector>

namespace kms::testing {

// What a power cut does to the writes since the last sync of each file.
enum class PowerCut : std::uint8_t {
  kLosesUnsynced,    // none of them arrived
  kKeepsUnsynced,    // all of them did
  kScramblesSectors  // any subset of their 512-byte sectors did
};

// Registered under name() from construction to destruction. Close every database of it before it
// is destroyed. Thread rule: databases on it may be used from any thread.
class FaultVfs {
 public:
  explicit FaultVfs(const std::string& name) : name_(name), base_(sqlite3_vfs_find(nullptr)) {
    vfs_ = *base_;
    vfs_.zName = name_.c_str();
    vfs_.pNext = nullptr;
    vfs_.pAppData = this;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + base_->szOsFile;
    vfs_.xOpen = &OpenFile;
    vfs_.xDelete = &DeleteFile;
    vfs_.xAccess = &Access;
    vfs_.xFullPathname = &FullPathname;
    sqlite3_vfs_register(&vfs_, 0);
  }
  ~FaultVfs() { sqlite3_vfs_unregister(&vfs_); }
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }

  // The n-th change from now (1: the next write, sync, truncation or deletion) fails with `rc`,
  // for example SQLITE_FULL, SQLITE_IOERR_WRITE or SQLITE_IOERR_FSYNC; with `for_good` so do all
  // that follow, until Heal.
  void FailChange(int n, int rc, bool for_good = false) {
    const std::lock_guard lock(mutex_);
    fail_at_ = changes_ + n;
    fail_rc_ = rc;
    fail_for_good_ = for_good;
  }
  // The same, counting syncs only.
  void FailSync(int n) {
    const std::lock_guard lock(mutex_);
    fail_sync_at_ = syncs_ + n;
  }
  void Heal() {
    const std::lock_guard lock(mutex_);
    fail_at_ = fail_sync_at_ = 0;
    fail_for_good_ = false;
  }
  // At the n-th change from now the power goes: it and everything after fails. Close all
  // databases, then call RestorePower.
  void CutPowerAt(int n) {
    const std::lock_guard lock(mutex_);
    cut_at_ = changes_ + n;
  }
  [[nodiscard]] bool power_is_cut() const {
    const std::lock_guard lock(mutex_);
    return PowerIsCut();
  }
  // Puts on disk what a machine would find after the cut.
  void RestorePower(PowerCut kind, std::uint32_t seed = 0) {
    const std::lock_guard lock(mutex_);
    std::mt19937 random(seed);
    files_.erase("");
    for (auto& [path, state] : files_) {
      WriteOut(path, Survivors(state, kind, random));
      state = {.durable = ReadIn(path), .unsynced = {}};
      std::error_code ignored;  // shared memory does not outlive a machine
      std::filesystem::remove(path + "-shm", ignored);
    }
    cut_at_ = 0;
  }
  // Writes, syncs, truncations and deletions so far.
  [[nodiscard]] int changes() const {
    const std::lock_guard lock(mutex_);
    return changes_;
  }

 private:
  struct Change {
    std::optional<std::uint64_t> truncate_to;
    std::uint64_t offset = 0;
    std::string bytes;
  };
  struct FileState {
    std::string durable;  // contents at the last sync
    std::vector<Change> unsynced;
  };
  struct File {
    sqlite3_file head;
    sqlite3_io_methods methods;
    FaultVfs* vfs;
    sqlite3_file* base;
    const char* path;  // owned by SQLite, null for temporary files
  };

  static FaultVfs& Self(sqlite3_vfs* vfs) { return *static_cast<FaultVfs*>(vfs->pAppData); }
  static File& Of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

  bool PowerIsCut() const { return cut_at_ != 0 && changes_ >= cut_at_; }

  // Counts one change and decides its fate.
  int CountChange() {
    ++changes_;
    if (PowerIsCut()) {
      return SQLITE_IOERR;
    }
    const bool hit = changes_ == fail_at_ || (fail_for_good_ && changes_ > fail_at_);
    return fail_at_ != 0 && hit ? fail_rc_ : SQLITE_OK;
  }

  void Remember(const File& file, Change change) {
    if (file.path != nullptr) {
      files_[file.path].unsynced.push_back(std::move(change));
    }
  }

  static void ApplyTo(std::string& contents, std::uint64_t offset, std::string_view bytes) {
    contents.resize(std::max<std::size_t>(contents.size(), offset + bytes.size()));
    std::ranges::copy(bytes, contents.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  static std::string Survivors(const FileState& state, PowerCut kind, std::mt19937& random) {
    constexpr std::size_t kSector = 512;
    std::string contents = state.durable;
    if (kind == PowerCut::kLosesUnsynced) {
      return contents;
    }
    const bool all = kind == PowerCut::kKeepsUnsynced;
    for (const Change& change : state.unsynced) {
      if (change.truncate_to) {
        contents.resize(all || random() % 2 == 0 ? *change.truncate_to : contents.size());
        continue;
      }
      for (std::size_t at = 0; at < change.bytes.size(); at += kSector) {
        if (all || random() % 2 == 0) {
          ApplyTo(contents, change.offset + at, std::string_view(change.bytes).substr(at, kSector));
        }
      }
    }
    return contents;
  }

  static std::string ReadIn(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void WriteOut(const std::string& path, const std::string& contents) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
  }

  // ---- sqlite3_vfs -----------------------------------------------------------------------------

  static int OpenFile(sqlite3_vfs* vfs, const char* path, sqlite3_file* opened, int flags,
                      int* out_flags) {
    FaultVfs& self = Self(vfs);
    File* file = new (opened) File{};
    file->vfs = &self;
    file->path = path;
    file->base = reinterpret_cast<sqlite3_file*>(file + 1);
    std::memset(file->base, 0, static_cast<std::size_t>(self.base_->szOsFile));
    const int rc = self.base_->xOpen(self.base_, path, file->base, flags, out_flags);
    if (rc != SQLITE_OK) {
      return rc;
    }
    file->methods = *file->base->pMethods;
    file->methods.iVersion = 2;  // no mappings: they would bypass the faults
    SetMethods(file->methods);
    file->head.pMethods = &file->methods;
    const std::lock_guard lock(self.mutex_);
    if (path != nullptr && !self.files_.contains(path)) {
      self.files_[path] = {.durable = ReadIn(path), .unsynced = {}};
    }
    return SQLITE_OK;
  }

  static int DeleteFile(sqlite3_vfs* vfs, const char* path, int sync_directory) {
    FaultVfs& self = Self(vfs);
    const std::lock_guard lock(self.mutex_);
    const int fate = self.CountChange();
    if (fate != SQLITE_OK) {
      return fate;
    }
    self.files_.erase(path);
    return self.base_->xDelete(self.base_, path, sync_directory);
  }

  static int Access(sqlite3_vfs* vfs, const char* path, int flags, int* out) {
    sqlite3_vfs* base = Self(vfs).base_;
    return base->xAccess(base, path, flags, out);
  }

  static int FullPathname(sqlite3_vfs* vfs, const char* path, int size, char* out) {
    sqlite3_vfs* base = Self(vfs).base_;
    return base->xFullPathname(base, path, size, out);
  }

  // ---- sqlite3_io_methods ----------------------------------------------------------------------

  static int Close(sqlite3_file* file) { return Base(file)->pMethods->xClose(Base(file)); }

  static int Read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
    return Base(file)->pMethods->xRead(Base(file), out, size, offset);
  }

  static int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    FaultVfs& self = *Of(file).vfs;
    const std::lock_guard lock(self.mutex_);
    const int fate = self.CountChange();
    if (fate != SQLITE_OK) {
      return fate;
    }
    self.Remember(Of(file), {.truncate_to = {},
                             .offset = static_cast<std::uint64_t>(offset),
                             .bytes = std::string(static_cast<const char*>(data),
                                                  static_cast<std::size_t>(size))});
    return Base(file)->pMethods->xWrite(Base(file), data, size, offset);
  }

  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    FaultVfs& self = *Of(file).vfs;
    const std::lock_guard lock(self.mutex_);
    const int fate = self.CountChange();
    if (fate != SQLITE_OK) {
      return fate;
    }
    self.Remember(Of(file), {.truncate_to = static_cast<std::uint64_t>(size), .bytes = {}});
    return Base(file)->pMethods->xTruncate(Base(file), size);
  }

  static int Sync(sqlite3_file* file, int /*flags*/) {
    FaultVfs& self = *Of(file).vfs;
    const std::lock_guard lock(self.mutex_);
    ++self.syncs_;
    const int fate = self.CountChange();
    if (fate != SQLITE_OK) {
      return fate;
    }
    if (self.syncs_ == self.fail_sync_at_) {
      // As Linux does: the pages count as written from now on, and no later sync writes them.
      self.files_[Of(file).path == nullptr ? "" : Of(file).path].unsynced.clear();
      return SQLITE_IOERR_FSYNC;
    }
    if (Of(file).path != nullptr) {
      FileState& state = self.files_[Of(file).path];
      for (const Change& change : state.unsynced) {
        if (change.truncate_to) {
          state.durable.resize(*change.truncate_to);
        } else {
          ApplyTo(state.durable, change.offset, change.bytes);
        }
      }
      state.unsynced.clear();
    }
    return SQLITE_OK;  // the modelled disk is what counts; a real sync would only cost time
  }

  static sqlite3_file* Base(sqlite3_file* file) { return Of(file).base; }

  static void SetMethods(sqlite3_io_methods& methods) {
    methods.xClose = &Close;
    methods.xRead = &Read;
    methods.xWrite = &Write;
    methods.xTruncate = &Truncate;
    methods.xSync = &Sync;
    methods.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      return Base(f)->pMethods->xFileSize(Base(f), size);
    };
    methods.xLock = [](sqlite3_file* f, int level) {
      return Base(f)->pMethods->xLock(Base(f), level);
    };
    methods.xUnlock = [](sqlite3_file* f, int level) {
      return Base(f)->pMethods->xUnlock(Base(f), level);
    };
    methods.xCheckReservedLock = [](sqlite3_file* f, int* out) {
      return Base(f)->pMethods->xCheckReservedLock(Base(f), out);
    };
    methods.xFileControl = [](sqlite3_file* f, int operation, void* argument) {
      return Base(f)->pMethods->xFileControl(Base(f), operation, argument);
    };
    methods.xSectorSize = [](sqlite3_file* f) { return Base(f)->pMethods->xSectorSize(Base(f)); };
    methods.xDeviceCharacteristics = [](sqlite3_file* f) {
      return Base(f)->pMethods->xDeviceCharacteristics(Base(f));
    };
    methods.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
      return Base(f)->pMethods->xShmMap(Base(f), page, size, extend, out);
    };
    methods.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) {
      return Base(f)->pMethods->xShmLock(Base(f), offset, n, flags);
    };
    methods.xShmBarrier = [](sqlite3_file* f) { Base(f)->pMethods->xShmBarrier(Base(f)); };
    methods.xShmUnmap = [](sqlite3_file* f, int remove) {
      return Base(f)->pMethods->xShmUnmap(Base(f), remove);
    };
  }

  const std::string name_;
  sqlite3_vfs* const base_;
  sqlite3_vfs vfs_{};
  mutable std::mutex mutex_;
  std::map<std::string, FileState> files_;
  int changes_ = 0;
  int syncs_ = 0;
  int fail_at_ = 0;  // a number of changes_; 0: never
  int fail_sync_at_ = 0;
  int fail_rc_ = SQLITE_OK;
  int cut_at_ = 0;
  bool fail_for_good_ = false;
};

}  // namespace kms::testing
