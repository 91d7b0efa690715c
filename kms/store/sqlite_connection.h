// SPDX-License-Identifier: Apache-2.0
// SqliteConnection and SqliteStatement: owners of SQLite's handles; the one header that sees
// sqlite3.h, and the one table from its result codes to ours.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms {

// Returns the error for result code `rc`. The public text says nothing of files or SQL; `doing`
// and SQLite's own text go into the detail.
Error SqliteError(int rc, sqlite3* database, std::string_view doing);

// One prepared statement. Used as: Bind…, Step…, Reset. Bound views must stay alive until Reset.
// Thread rule: like a plain value.
class SqliteStatement {
 public:
  SqliteStatement() = default;  // prepares nothing; only to be assigned to
  static Result<SqliteStatement> Prepare(sqlite3* database, std::string_view sql);

  // Parameters count from 1. A failed bind is reported by the next Step.
  void Bind(int parameter, std::string_view text);
  void Bind(int parameter, ByteView blob);
  void Bind(int parameter, std::int64_t number);

  // Returns true when a row is there to be read, false when the statement is done.
  Result<bool> Step();
  void Reset();

  // Columns count from 0; views live until the next Step or Reset.
  [[nodiscard]] std::int64_t ColumnInteger(int column) const;
  [[nodiscard]] std::string_view ColumnText(int column) const;
  [[nodiscard]] ByteView ColumnBlob(int column) const;

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}
  void NoteBind(int rc);

  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
  int bind_error_ = SQLITE_OK;
};

// Resets a statement at the end of a scope, so that it holds no read lock and no dead view.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(SqliteStatement& statement) : statement_(statement) {}
  ~ResetAtEnd() { statement_.Reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  SqliteStatement& statement_;
};

struct SqliteConnectionOptions {
  std::string path;
  std::string vfs;  // empty: the default one
  bool read_only = false;
};

// One connection to an existing database file, with the settings every connection has.
// Thread rule: one thread at a time.
class SqliteConnection {
 public:
  // Errors: kUnavailable, kCorrupted (not a database).
  static Result<SqliteConnection> Open(const SqliteConnectionOptions& options);

  // Runs one statement without rows of interest.
  Status Execute(std::string_view sql);
  // Runs one statement and returns the first column of its first row as text, or "".
  Result<std::string> QueryText(std::string_view sql);
  Result<std::int64_t> QueryInteger(std::string_view sql);

  Result<SqliteStatement> Prepare(std::string_view sql);

  // Whether the last failure was only another's lock: the connection itself is sound.
  [[nodiscard]] bool last_error_was_busy() const;

 private:
  struct Closer {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
  };

  explicit SqliteConnection(sqlite3* database) : database_(database) {}
  Status Configure(bool read_only);

  std::unique_ptr<sqlite3, Closer> database_;
};

}  // namespace kms
