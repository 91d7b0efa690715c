// SPDX-License-Identifier: Apache-2.0
// SqliteConnection and SqliteStatement: owners of SQLite's handles.
#include "kms/store/sqlite_connection.h"

#include <utility>

namespace kms {
namespace {

// How long a call waits for another process's lock (a backup tool, a shell) before it gives up.
constexpr int kBusyTimeoutMilliseconds = 2000;

// Settings of every connection: nothing in the file may run code, freed pages are zeroed, and no
// mapping exists that a truncated file could turn into SIGBUS.
constexpr std::string_view kSettings[] = {
    "PRAGMA trusted_schema=OFF", "PRAGMA cell_size_check=ON",   "PRAGMA secure_delete=ON",
    "PRAGMA temp_store=MEMORY",  "PRAGMA mmap_size=0",          "PRAGMA synchronous=FULL",
    "PRAGMA cache_size=-1024",   "PRAGMA wal_autocheckpoint=0",
};

ErrorCode CodeOf(int rc) {
  if (rc == SQLITE_IOERR_DATA || rc == SQLITE_IOERR_CORRUPTFS) {
    return ErrorCode::kCorrupted;
  }
  switch (rc & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ErrorCode::kCorrupted;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
    case SQLITE_NOMEM: return ErrorCode::kUnavailable;
    default: return ErrorCode::kInternal;
  }
}

std::string_view PublicText(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCorrupted: return "the store is damaged";
    case ErrorCode::kUnavailable: return "the store is not available";
    default: return "internal error";
  }
}

}  // namespace

Error SqliteError(int rc, sqlite3* database, std::string_view doing) {
  const ErrorCode code = CodeOf(rc);
  const char* text = database == nullptr ? sqlite3_errstr(rc) : sqlite3_errmsg(database);
  const int system_error = database == nullptr ? 0 : sqlite3_system_errno(database);
  return MakeError(code, std::string(PublicText(code)),
                   std::string(doing) + ": " + text + " (code " + std::to_string(rc) + ", errno " +
                       std::to_string(system_error) + ")");
}

// ---- SqliteStatement ---------------------------------------------------------------------------

Result<SqliteStatement> SqliteStatement::Prepare(sqlite3* database, std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int rc = sqlite3_prepare_v3(database, sql.data(), static_cast<int>(sql.size()),
                                    SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  SqliteStatement prepared(statement);
  if (rc != SQLITE_OK) {
    return SqliteError(rc, database, sql);
  }
  return prepared;
}

void SqliteStatement::NoteBind(int rc) {
  if (rc != SQLITE_OK && bind_error_ == SQLITE_OK) {
    bind_error_ = rc;
  }
}

// A null pointer would bind SQL's NULL; an empty string is not that.
void SqliteStatement::Bind(int parameter, std::string_view text) {
  const char* data = text.empty() ? "" : text.data();
  NoteBind(sqlite3_bind_text64(statement_.get(), parameter, data, text.size(), SQLITE_STATIC,
                               SQLITE_UTF8));
}

void SqliteStatement::Bind(int parameter, ByteView blob) {
  const void* data = blob.empty() ? static_cast<const void*>("") : blob.data();
  NoteBind(sqlite3_bind_blob64(statement_.get(), parameter, data, blob.size(), SQLITE_STATIC));
}

void SqliteStatement::Bind(int parameter, std::int64_t number) {
  NoteBind(sqlite3_bind_int64(statement_.get(), parameter, number));
}

Result<bool> SqliteStatement::Step() {
  sqlite3* database = sqlite3_db_handle(statement_.get());
  if (bind_error_ != SQLITE_OK) {
    return SqliteError(bind_error_, nullptr, sqlite3_sql(statement_.get()));
  }
  const int rc = sqlite3_step(statement_.get());
  if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
    return rc == SQLITE_ROW;
  }
  return SqliteError(sqlite3_extended_errcode(database), database, sqlite3_sql(statement_.get()));
}

void SqliteStatement::Reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  bind_error_ = SQLITE_OK;
}

std::int64_t SqliteStatement::ColumnInteger(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view SqliteStatement::ColumnText(int column) const {
  return AsText(ColumnBlob(column));
}

ByteView SqliteStatement::ColumnBlob(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return {static_cast<const std::uint8_t*>(data), data == nullptr ? 0U : static_cast<size_t>(size)};
}

// ---- SqliteConnection --------------------------------------------------------------------------

Result<SqliteConnection> SqliteConnection::Open(const SqliteConnectionOptions& options) {
  sqlite3* database = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int rc = sqlite3_open_v2(options.path.c_str(), &database, flags,
                                 options.vfs.empty() ? nullptr : options.vfs.c_str());
  SqliteConnection connection(database);
  if (rc != SQLITE_OK) {
    return SqliteError(rc, database, "open " + options.path);
  }
  KMS_TRY(connection.Configure(options.read_only));
  return connection;
}

Status SqliteConnection::Configure(bool read_only) {
  sqlite3_busy_timeout(database_.get(), kBusyTimeoutMilliseconds);
  sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  for (const std::string_view setting : kSettings) {
    KMS_TRY(Execute(setting));
  }
  // A reader still needs a writable handle: the index of the write-ahead log is shared memory.
  return read_only ? Execute("PRAGMA query_only=ON") : Ok();
}

Status SqliteConnection::Execute(std::string_view sql) {
  KMS_TRY(QueryText(sql));
  return Ok();
}

Result<std::string> SqliteConnection::QueryText(std::string_view sql) {
  SqliteStatement statement = KMS_TRY(Prepare(sql));
  if (!KMS_TRY(statement.Step())) {
    return std::string();
  }
  std::string first(statement.ColumnText(0));
  while (KMS_TRY(statement.Step())) {
  }
  return first;
}

Result<std::int64_t> SqliteConnection::QueryInteger(std::string_view sql) {
  SqliteStatement statement = KMS_TRY(Prepare(sql));
  const bool has_row = KMS_TRY(statement.Step());
  return has_row ? statement.ColumnInteger(0) : 0;
}

Result<SqliteStatement> SqliteConnection::Prepare(std::string_view sql) {
  return SqliteStatement::Prepare(database_.get(), sql);
}

bool SqliteConnection::last_error_was_busy() const {
  return (sqlite3_errcode(database_.get()) & 0xFF) == SQLITE_BUSY;
}

}  // namespace kms
