// SPDX-License-Identifier: Apache-2.0
// SqliteStore: Store in one file, for one process.
#include "kms/store/sqlite_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <set>
#include <system_error>
#include <utility>

#include "kms/store/sqlite_connection.h"
#include "kms/store/sqlite_format.h"
#include "kms/store/sqlite_writer.h"

namespace kms {
namespace {

// Creates the file before SQLite does, because SQLite would leave it readable for the group.
Status CreatePrivateFile(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor >= 0) {
    ::close(descriptor);
    return Ok();
  }
  const int error = errno;
  struct stat file{};
  if (error != EEXIST || ::stat(path.c_str(), &file) != 0) {
    return Unavailable("cannot create the store file " + path + ": " +
                       std::generic_category().message(error));
  }
  if ((file.st_mode & 0077) != 0 && ::chmod(path.c_str(), 0600) != 0) {
    return FailedPrecondition("the store file " + path +
                              " is open to other users and cannot be closed to them: chmod 0600 "
                              "it");
  }
  return Ok();
}

Status CheckDistinct(const std::vector<Mutation>& mutations) {
  std::set<std::string_view> paths;
  for (const Mutation& mutation : mutations) {
    if (!paths.insert(mutation.path).second) {
      return InvalidArgument("a commit names one path twice", mutation.path);
    }
  }
  return Ok();
}

Revision AsRevision(std::int64_t column) { return static_cast<Revision>(column); }

}  // namespace

// ---- Reader ------------------------------------------------------------------------------------

class SqliteStore::Reader {
 public:
  static Result<std::unique_ptr<Reader>> Open(const SqliteStoreOptions& options) {
    auto reader = std::make_unique<Reader>(KMS_TRY(
        SqliteConnection::Open({.path = options.path, .vfs = options.vfs, .read_only = true})));
    KMS_TRY(reader->Prepare());
    return reader;
  }

  explicit Reader(SqliteConnection connection) : connection_(std::move(connection)) {}

  Result<std::optional<StoredValue>> Get(std::string_view path) {
    const ResetAtEnd reset(get_);
    get_.Bind(1, path);
    if (!KMS_TRY(get_.Step())) {
      return std::optional<StoredValue>{};
    }
    return std::optional<StoredValue>{
        {.value = CopyOf(get_.ColumnBlob(0)), .revision = AsRevision(get_.ColumnInteger(1))}};
  }

  Result<std::vector<ListedEntry>> List(std::string_view prefix, std::string_view after,
                                        std::size_t limit) {
    const ResetAtEnd reset(list_);
    constexpr auto kMaxLimit = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
    list_.Bind(1, std::max(prefix, after));
    list_.Bind(2, after);
    list_.Bind(3, static_cast<std::int64_t>(std::min(limit, kMaxLimit)));
    std::vector<ListedEntry> listed;
    while (KMS_TRY(list_.Step())) {
      if (!list_.ColumnText(0).starts_with(prefix)) {
        break;
      }
      listed.push_back({.path = std::string(list_.ColumnText(0)),
                        .revision = AsRevision(list_.ColumnInteger(1))});
    }
    return listed;
  }

  Result<Revision> CurrentRevision() {
    const ResetAtEnd reset(revision_);
    if (!KMS_TRY(revision_.Step())) {
      return Corrupted("the store is damaged", "the revision row is missing");
    }
    return AsRevision(revision_.ColumnInteger(0));
  }

 private:
  Status Prepare() {
    get_ = KMS_TRY(connection_.Prepare("SELECT value, revision FROM entry WHERE path = ?1"));
    // One lower bound, so that paging seeks instead of scanning from the start of the prefix.
    list_ =
        KMS_TRY(connection_.Prepare("SELECT path, revision FROM entry WHERE path >= ?1 AND "
                                    "path <> ?2 ORDER BY path LIMIT ?3"));
    revision_ = KMS_TRY(connection_.Prepare("SELECT current FROM revision WHERE id = 1"));
    return Ok();
  }

  SqliteConnection connection_;
  SqliteStatement get_;
  SqliteStatement list_;
  SqliteStatement revision_;
};

// Borrows a reader for one call, opening it when needed; a reader that failed is not given back.
class SqliteStore::ReaderLease {
 public:
  explicit ReaderLease(SqliteStore& store) : store_(store), reader_(store.TakeReader()) {}
  ~ReaderLease() { store_.GiveBackReader(std::move(reader_)); }
  ReaderLease(const ReaderLease&) = delete;
  ReaderLease& operator=(const ReaderLease&) = delete;

  template <typename Call>
  auto Run(Call call) -> decltype(call(std::declval<Reader&>())) {
    if (reader_ == nullptr) {
      reader_ = KMS_TRY(Reader::Open(store_.options_));
    }
    auto result = call(*reader_);
    if (!result.has_value()) {
      reader_.reset();
    }
    return result;
  }

 private:
  SqliteStore& store_;
  std::unique_ptr<Reader> reader_;
};

// ---- SqliteStore -------------------------------------------------------------------------------

SqliteStore::SqliteStore(Private, SqliteStoreOptions options, StoreLock lock)
    : options_(std::move(options)), lock_(std::move(lock)) {}

SqliteStore::~SqliteStore() = default;

Result<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path) {
  return Open(SqliteStoreOptions{.path = path, .vfs = {}});
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::Open(SqliteStoreOptions options) {
  StoreLock lock = KMS_TRY(StoreLock::Acquire(options.path));
  KMS_TRY(CreatePrivateFile(options.path));
  auto store = std::make_unique<SqliteStore>(Private{}, std::move(options), std::move(lock));
  {
    const ScopedLock writer_lock(store->writer_mutex_);
    const Status opened = store->OpenWriter();
    if (!opened.has_value()) {
      return opened.error().code == ErrorCode::kFailedPrecondition
                 ? opened.error()
                 : ExplainOpenFailure(opened.error(), store->options_.path);
    }
  }
  const ScopedLock readers_lock(store->readers_mutex_);
  store->readers_.resize(std::max<std::size_t>(store->options_.readers, 1));
  return store;
}

Status SqliteStore::OpenWriter() {
  writer_.reset();
  writer_ = KMS_TRY(SqliteWriter::Open(options_));
  if (digest_ != nullptr) {
    writer_->KeepDigest(*digest_);
  }
  return Ok();
}

Result<std::optional<StoredValue>> SqliteStore::Get(std::string_view path) {
  ReaderLease lease(*this);
  return lease.Run([&](Reader& reader) { return reader.Get(path); });
}

Result<std::vector<ListedEntry>> SqliteStore::List(std::string_view prefix, std::string_view after,
                                                   std::size_t limit) {
  if (limit == 0) {
    return InvalidArgument("limit must be at least 1");
  }
  ReaderLease lease(*this);
  return lease.Run([&](Reader& reader) { return reader.List(prefix, after, limit); });
}

Result<Revision> SqliteStore::CurrentRevision() {
  ReaderLease lease(*this);
  return lease.Run([](Reader& reader) { return reader.CurrentRevision(); });
}

Result<Revision> SqliteStore::Commit(const std::vector<Mutation>& mutations) {
  KMS_TRY(CheckDistinct(mutations));
  const ScopedLock lock(writer_mutex_);
  if (writer_ == nullptr) {
    const Status opened = OpenWriter();
    if (!opened.has_value()) {
      // What an operator is told at start may name files; a client is not told.
      return Unavailable("the store is not available", Describe(opened.error()));
    }
  }
  const Result<Revision> revision = writer_->Commit(mutations);
  if (!writer_->usable()) {
    writer_.reset();
  }
  if (!revision.has_value() && revision.error().code == ErrorCode::kOutcomeUnknown) {
    // The log may hold the whole commit, unseen by readers until a crash replays it. Emptying the
    // log makes what a reread shows now the truth for good.
    IgnoreError(OpenWriter(), "the next commit tries again; the outcome is unknown all the same");
  }
  if (revision.has_value()) {
    Publish(*revision, mutations);
  }
  return revision;
}

Result<DigestReport> SqliteStore::CheckDigest(const SecretBytes& key) {
  SetDigest digest = KMS_TRY(SetDigest::Create(key));
  SqliteConnection connection = KMS_TRY(
      SqliteConnection::Open({.path = options_.path, .vfs = options_.vfs, .read_only = true}));
  return CheckStoredDigest(connection, digest);
}

Status SqliteStore::StartDigest(const SecretBytes& key, bool rebuild) {
  auto digest = std::make_unique<SetDigest>(KMS_TRY(SetDigest::Create(key)));
  const ScopedLock lock(writer_mutex_);
  if (writer_ == nullptr) {
    KMS_TRY(OpenWriter());
  }
  writer_->KeepDigest(*digest);
  const Status settled = writer_->SettleDigest(rebuild);
  if (!settled.has_value()) {
    writer_.reset();  // the next commit opens one that does not know this key
    return settled;
  }
  digest_ = std::move(digest);
  return Ok();
}

Status SqliteStore::SkipRevisionsTo(Revision revision) {
  const ScopedLock lock(writer_mutex_);
  if (writer_ == nullptr) {
    KMS_TRY(OpenWriter());
  }
  const Result<Revision> skipped = writer_->SkipTo(revision);
  if (!skipped.has_value()) {
    writer_.reset();
    return skipped.error();
  }
  Publish(*skipped, {});
  return Ok();
}

std::optional<DigestMark> SqliteStore::digest_mark() {
  const ScopedLock lock(writer_mutex_);
  return writer_ == nullptr ? std::nullopt : writer_->Mark();
}

Status SqliteStore::CopyTo(const std::string& path) {
  KMS_TRY(CreatePrivateFile(path));
  SqliteConnection connection =
      KMS_TRY(SqliteConnection::Open({.path = options_.path, .vfs = options_.vfs}));
  SqliteStatement copy = KMS_TRY(connection.Prepare("VACUUM INTO ?1"));
  copy.Bind(1, std::string_view(path));
  KMS_TRY(copy.Step());
  return Ok();
}

void SqliteStore::Publish(Revision revision, const std::vector<Mutation>& mutations) {
  if (listeners_.empty()) {
    return;
  }
  std::vector<std::string> paths;
  paths.reserve(mutations.size());
  for (const Mutation& mutation : mutations) {
    paths.push_back(mutation.path);
  }
  for (const ChangeListener& listener : listeners_) {
    listener(revision, paths);
  }
}

void SqliteStore::Subscribe(ChangeListener listener) {
  const ScopedLock lock(writer_mutex_);
  listeners_.push_back(std::move(listener));
}

std::unique_ptr<SqliteStore::Reader> SqliteStore::TakeReader() {
  const ScopedLock lock(readers_mutex_);
  while (readers_.empty()) {
    reader_returned_.wait(readers_mutex_);
  }
  // The most recently used reader has the warmest cache and is least likely to be null.
  std::unique_ptr<Reader> reader = std::move(readers_.back());
  readers_.pop_back();
  return reader;
}

void SqliteStore::GiveBackReader(std::unique_ptr<Reader> reader) {
  {
    const ScopedLock lock(readers_mutex_);
    readers_.push_back(std::move(reader));
  }
  reader_returned_.notify_one();
}

}  // namespace kms
