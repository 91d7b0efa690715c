// SPDX-License-Identifier: Apache-2.0
// Batches of lines through encrypt, decrypt or rewrap.
#include "tools/kmsctl/line_batches.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "tools/kmsctl/checksums.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

constexpr std::size_t kBatchBytes = std::size_t{4} << 20U;
constexpr std::chrono::seconds kReportInterval{1};
constexpr std::uint64_t kFailuresReported = 10;

}  // namespace

LineBatches::LineBatches(Session& session, const DataVerb& verb, std::string path,
                         DataParameters parameters, LineBatchOptions options, OutputSink& sink)
    : session_(session),
      verb_(verb),
      path_(std::move(path)),
      parameters_(std::move(parameters)),
      options_(options),
      sink_(sink),
      body_(kBatchBytes + (std::size_t{64} << 10U)),
      next_report_(std::chrono::steady_clock::now() + kReportInterval) {}

Status LineBatches::Add(std::string_view line) {
  if (lines_in_batch_ == 0) {
    body_.BeginObject();
    if (&verb_ != &kRewrap) {
      // Without this, one bad line would turn the whole answer into an error.
      body_.AddNumber("partial_failure_response_code", 200);
    }
    body_.BeginArray("batch_input");
  }
  body_.BeginObject();
  AddInput(body_, verb_, line, parameters_);
  body_.EndObject();
  if (!verb_.input_is_plaintext) {
    inputs_.emplace_back(TrimCiphertext(line));
  }
  ++lines_in_batch_;
  if (lines_in_batch_ == options_.lines_per_batch || body_.View().size() >= kBatchBytes) {
    return Flush();
  }
  return Ok();
}

Status LineBatches::Finish() {
  KMS_TRY(Flush());
  ReportProgress(true);
  if (lines_failed_ != 0) {
    return FailedPrecondition(std::to_string(lines_failed_) + " of " + std::to_string(lines_done_) +
                              " lines failed");
  }
  return Ok();
}

Status LineBatches::Flush() {
  if (lines_in_batch_ == 0) {
    return Ok();
  }
  body_.EndArray();
  body_.EndObject();
  nlohmann::json answer = KMS_TRY(session_.CallRaw("POST", path_, body_.View()));
  body_.Clear();
  KMS_TRY(WriteResults(answer));
  lines_done_ += lines_in_batch_;
  lines_in_batch_ = 0;
  inputs_.clear();
  ReportProgress(false);
  return Ok();
}

Status LineBatches::WriteResults(nlohmann::json& answer) {
  const auto data = answer.find("data");
  if (data == answer.end() || !data->is_object() || !data->contains("batch_results") ||
      (*data)["batch_results"].size() != lines_in_batch_) {
    return MakeError(ErrorCode::kInternal, "the answer does not have one result for each line");
  }
  std::size_t index = 0;
  for (nlohmann::json& result : (*data)["batch_results"]) {
    KMS_TRY(WriteResult(index, result));
    ++index;
  }
  return Ok();
}

Status LineBatches::WriteResult(std::size_t index, nlohmann::json& result) {
  if (!result.is_object()) {
    return WriteFailure(index, "the answer has no result for it");
  }
  if (const std::string reason = Cell(result, "error"); reason != "-") {
    return WriteFailure(index, reason);
  }
  if (const Status matches = CheckChecksums(result); !matches.has_value()) {
    return WriteFailure(index, matches.error().public_message);
  }
  const bool keep_base64 = options_.keep_base64 || options_.json;
  const Result<PlaintextBuffer> output = TakeOutput(result, verb_, keep_base64);
  if (!output.has_value()) {
    return WriteFailure(index, output.error().public_message);
  }
  const std::string_view text = AsText(output->View());
  if (text.find('\n') != std::string_view::npos) {
    return WriteFailure(index, "the plaintext has a line end in it: use --base64 or --json");
  }
  return WriteLine(lines_done_ + index + 1, verb_.output_field, text);
}

Status LineBatches::CheckChecksums(const nlohmann::json& result) {
  if (!parameters_.checksums) {
    return Ok();
  }
  const bool unknown =
      KMS_TRY(CheckAnswer(result, verb_, parameters_)) == ChecksumAnswer::kUnknownToServer;
  if (unknown && !noted_unknown_checksums_) {
    noted_unknown_checksums_ = true;
    NoteUnknownChecksums();
  }
  return Ok();
}

Status LineBatches::WriteLine(std::uint64_t number, std::string_view field, std::string_view text) {
  if (!options_.json) {
    KMS_TRY(sink_.Write(AsBytes(text)));
    return sink_.Write(AsBytes("\n"));
  }
  JsonBody line(text.size() + 256);
  line.BeginObject();
  line.AddNumber("line", static_cast<std::int64_t>(number));
  line.AddText(field, text);
  line.EndObject();
  KMS_TRY(sink_.Write(AsBytes(line.View())));
  return sink_.Write(AsBytes("\n"));
}

Status LineBatches::WriteFailure(std::size_t index, std::string_view reason) {
  const std::uint64_t number = lines_done_ + index + 1;
  const bool is_blank = !verb_.input_is_plaintext && inputs_[index].empty();
  if (is_blank) {
    ++lines_blank_;
  } else {
    ++lines_failed_;
    if (lines_failed_ <= kFailuresReported) {
      Note("kmsctl: line " + std::to_string(number) + ": " + Printable(reason));
    }
  }
  if (options_.json) {
    return WriteLine(number, "error", reason);
  }
  return WriteLine(number, {}, &verb_ == &kRewrap ? inputs_[index] : std::string_view{});
}

void LineBatches::ReportProgress(bool last) {
  const auto now = std::chrono::steady_clock::now();
  if (!last && now < next_report_) {
    return;
  }
  next_report_ = now + kReportInterval;
  std::string text = std::string(verb_.past_tense) + " " +
                     std::to_string(lines_done_ - lines_failed_ - lines_blank_) + " lines";
  if (lines_failed_ != 0) {
    text += ", " + std::to_string(lines_failed_) + " failed";
  }
  Note(last ? text : text + " so far");
}

}  // namespace kms::tools
