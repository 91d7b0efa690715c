// SPDX-License-Identifier: Apache-2.0
// Bytes in and out of kmsctl: arguments, files, standard streams; binary safe, plaintext wiped.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"

namespace kms::tools {

// More than the server accepts in one request is refused before it is sent.
inline constexpr std::size_t kMaxInputBytes = std::size_t{24} << 20U;

// Where a command takes its input from: at most one of the two, else standard input.
struct InputSource {
  std::optional<std::string> argument;  // "-" is standard input
  std::string file;
};

// Reads everything. Errors: kInvalidArgument (both sources given, unreadable file, too long).
Result<PlaintextBuffer> ReadInput(const InputSource& source);

// Calls `use` with each line, without its end, in order. Stops at the first error of `use`.
// Errors: kInvalidArgument (unreadable file, a line longer than kMaxInputBytes) and those of `use`.
Status ForEachLine(const InputSource& source, const std::function<Status(std::string_view)>& use);

// Where results go. A file appears whole, mode 0600, when Commit succeeds; until then its old
// contents stay. Without a file: standard output, at once.
class OutputSink {
 public:
  static Result<OutputSink> Open(std::string file);
  OutputSink(OutputSink&& other) noexcept;
  OutputSink& operator=(OutputSink&&) = delete;
  OutputSink(const OutputSink&) = delete;
  OutputSink& operator=(const OutputSink&) = delete;
  ~OutputSink();

  Status Write(ByteView bytes);
  Status Commit();
  [[nodiscard]] bool is_terminal() const;

 private:
  OutputSink(std::string file, std::string temporary, int descriptor)
      : file_(std::move(file)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

  std::string file_;       // empty: standard output
  std::string temporary_;  // removed unless committed
  int descriptor_;
};

Status WriteStandardOutput(ByteView bytes);
Status WriteStandardError(ByteView bytes);

enum class Undo : std::uint8_t { kImpossible, kPossible };

// Asks on the terminal before something is destroyed or stops being served. Errors:
// kInvalidArgument when the answer is not yes, or nobody can be asked and `assume_yes` is false.
Status Confirm(std::string_view question, bool assume_yes, Undo undo = Undo::kImpossible);

}  // namespace kms::tools
