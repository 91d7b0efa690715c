// SPDX-License-Identifier: Apache-2.0
// LineBatches: one input per line, sent in batches, one result per line in the same order.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"
#include "tools/kmsctl/data_verb.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/json_body.h"
#include "tools/kmsctl/session.h"

namespace kms::tools {

struct LineBatchOptions {
  // At most 960 JSON strings, names included: within every server's default limits.
  std::size_t lines_per_batch = 160;
  bool keep_base64 = false;
  bool json = false;  // one JSON object per line instead of the bare result
};

// Line n of the output always belongs to line n of the input. A line that fails is reported on
// stderr and leaves its input (rewrap: still a valid ciphertext) or an empty line; so does an
// empty line of ciphertext. Thread rule: one thread.
class LineBatches {
 public:
  // All references must outlive this object.
  LineBatches(Session& session, const DataVerb& verb, std::string path, DataParameters parameters,
              LineBatchOptions options, OutputSink& sink);

  Status Add(std::string_view line);
  // Sends what is left and reports. Errors: kFailedPrecondition when some lines failed.
  Status Finish();

 private:
  Status Flush();
  Status WriteResults(nlohmann::json& answer);
  Status WriteResult(std::size_t index, nlohmann::json& result);
  Status CheckChecksums(const nlohmann::json& result);
  Status WriteLine(std::uint64_t number, std::string_view field, std::string_view text);
  Status WriteFailure(std::size_t index, std::string_view reason);
  void ReportProgress(bool last);

  Session& session_;
  const DataVerb& verb_;
  const std::string path_;
  const DataParameters parameters_;
  const LineBatchOptions options_;
  OutputSink& sink_;
  JsonBody body_;
  std::vector<std::string> inputs_;  // of this batch; only for verbs whose input is ciphertext
  std::size_t lines_in_batch_ = 0;
  std::uint64_t lines_done_ = 0;
  std::uint64_t lines_failed_ = 0;
  std::uint64_t lines_blank_ = 0;
  bool noted_unknown_checksums_ = false;
  std::chrono::steady_clock::time_point next_report_;
};

}  // namespace kms::tools
