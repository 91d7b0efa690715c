// SPDX-License-Identifier: Apache-2.0
// AuditVerifier: proves offline that an audit log is complete and unchanged.
#include "kms/audit/verifier.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "kms/audit/checkpoint.h"
#include "kms/base/base64.h"

namespace kms {
namespace {

using Json = nlohmann::json;

// How far back a checkpoint may point: many times what is written while an HSM signs.
constexpr std::size_t kRecentRecords = std::size_t{1} << 16U;
constexpr std::size_t kMaxJsonDepth = 16;
// Quotes inside strings are escaped, so this cannot be part of a caller's text.
constexpr std::string_view kCheckpointMark = ",\"type\":\"checkpoint\",";

// Rejects deep nesting before a recursive parser could meet it.
bool IsShallowJson(std::string_view line) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t index = 0; index < line.size(); ++index) {
    const char character = line[index];
    if (in_string) {
      index += character == '\\' ? 1 : 0;
      in_string = character != '"';
    } else if (character == '"') {
      in_string = true;
    } else if (character == '{' || character == '[') {
      if (++depth > kMaxJsonDepth) {
        return false;
      }
    } else if ((character == '}' || character == ']') && depth > 0) {
      --depth;
    }
  }
  return true;
}

struct ParsedCheckpoint {
  std::string time;
  std::uint64_t seq = 0;
  std::string hash;
  Bytes public_key;
  Bytes signature;
  std::optional<StoreStatement> store;
};

std::optional<std::string> TextOf(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) {
    return std::nullopt;
  }
  return found->get<std::string>();
}

std::optional<Bytes> BytesOf(const Json& object, const char* name) {
  const std::optional<std::string> text = TextOf(object, name);
  if (!text) {
    return std::nullopt;
  }
  Result<Bytes> bytes = Base64Decode(*text, Base64Form::kCanonical);
  return bytes.has_value() ? std::optional<Bytes>(std::move(*bytes)) : std::nullopt;
}

// What a checkpoint says of the store: all of it or nothing; nullopt when it is malformed.
std::optional<std::optional<StoreStatement>> ParseStatement(const Json& body) {
  using Statement = std::optional<StoreStatement>;
  const auto epoch = body.find("epoch");
  const auto revision = body.find("store_revision");
  const auto digest = TextOf(body, "store_digest");
  if (epoch == body.end() && revision == body.end() && !body.contains("store_digest")) {
    return Statement();
  }
  if (epoch == body.end() || !epoch->is_number_unsigned() || revision == body.end() ||
      !revision->is_number_unsigned() || !digest) {
    return std::nullopt;
  }
  return Statement(StoreStatement{.epoch = epoch->get<std::uint64_t>(),
                                  .revision = revision->get<std::uint64_t>(),
                                  .digest = *digest});
}

std::optional<ParsedCheckpoint> ParseCheckpoint(std::string_view line) {
  const Json record = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!record.is_object() || !record.contains("checkpoint")) {
    return std::nullopt;
  }
  const Json& body = record["checkpoint"];
  if (!body.is_object() || !body.contains("seq") || !body["seq"].is_number_unsigned()) {
    return std::nullopt;
  }
  const auto time = TextOf(record, "time");
  const auto hash = TextOf(body, "hash");
  auto public_key = BytesOf(body, "public_key");
  auto signature = BytesOf(body, "signature");
  auto store = ParseStatement(body);
  if (!time || !hash || !public_key || !signature || !store) {
    return std::nullopt;
  }
  return ParsedCheckpoint{.time = *time,
                          .seq = body["seq"].get<std::uint64_t>(),
                          .hash = *hash,
                          .public_key = std::move(*public_key),
                          .signature = std::move(*signature),
                          .store = std::move(*store)};
}

}  // namespace

void AuditVerifier::StartFile(std::string name) {
  EndFile();
  file_ = std::move(name);
  line_ = 0;
}

bool AuditVerifier::Feed(std::string_view bytes) {
  while (!bytes.empty() && report_.ok()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (partial_.size() + piece.size() > kMaxAuditLineBytes) {
      ++line_;
      Problem("the line is longer than any record");
      break;
    }
    if (end == std::string_view::npos) {
      partial_.append(piece);
      break;
    }
    if (partial_.empty()) {
      Line(piece);
    } else {
      partial_.append(piece);
      Line(partial_);
      partial_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
  return report_.ok();
}

void AuditVerifier::EndFile() {
  if (report_.ok() && !partial_.empty()) {
    ++line_;
    Problem("the last record is torn");
  }
  partial_.clear();
}

AuditReport AuditVerifier::Finish() {
  EndFile();
  if (report_.ok() && report_.head.seq < options_.at_least_seq) {
    ++line_;
    Problem("the log ends too early: the records up to number " +
            std::to_string(options_.at_least_seq) + " are missing");
  }
  return report_;
}

void AuditVerifier::Line(std::string_view line) {
  ++line_;
  CheckLink(line);
  if (!report_.ok()) {
    return;
  }
  if (line.find(kCheckpointMark) != std::string_view::npos) {
    CheckCheckpoint(line);
  }
  if (!report_.ok()) {
    return;
  }
  ++report_.records;
  ++report_.head.seq;
  report_.head.hash = Sha256(AsBytes(line));
  recent_.resize(kRecentRecords);
  recent_[report_.head.seq % kRecentRecords] = report_.head.hash;
}

void AuditVerifier::CheckLink(std::string_view line) {
  const Result<ChainLink> link = ParseChainLink(line);
  if (!link.has_value() || !IsShallowJson(line) || !Json::accept(line)) {
    return Problem("the line is not an audit record");
  }
  const bool is_first = report_.records == 0;
  if (is_first && options_.earlier_files_may_be_missing && link->seq > 1) {
    report_.head = {.seq = link->seq - 1, .hash = link->previous};
  }
  if (link->seq != report_.head.seq + 1) {
    return Problem("the record here has number " + std::to_string(link->seq) +
                   ": records are missing, repeated or out of order");
  }
  if (link->previous != report_.head.hash) {
    return Problem("the record does not follow from the one before: one of the two was changed");
  }
  if (is_first) {
    report_.first_seq = link->seq;
  }
}

void AuditVerifier::CheckCheckpoint(std::string_view line) {
  const std::optional<ParsedCheckpoint> checkpoint = ParseCheckpoint(line);
  if (!checkpoint) {
    return Problem("the checkpoint is malformed");
  }
  if (!Trusts(checkpoint->public_key)) {
    return Problem(options_.trusted_keys.empty()
                       ? "the checkpoint is signed by another key than those before it; where "
                         "several HSMs serve sys, give the audit key of each"
                       : "the checkpoint is signed by another key than those that were given");
  }
  const Sha256Digest* hash = HashOf(checkpoint->seq);
  if (hash == nullptr || HexEncode(*hash) != checkpoint->hash) {
    return Problem("the checkpoint does not match the record it names");
  }
  const std::string message =
      CheckpointMessage({.seq = checkpoint->seq, .hash = *hash}, checkpoint->time,
                        checkpoint->store);
  if (!VerifyCheckpointSignature(checkpoint->public_key, checkpoint->signature, message)) {
    return Problem("the signature of the checkpoint is not valid");
  }
  ++report_.checkpoints;
  report_.last_signed_seq = checkpoint->seq;
  if (std::ranges::find(report_.signing_keys, checkpoint->public_key) ==
      report_.signing_keys.end()) {
    report_.signing_keys.push_back(checkpoint->public_key);
  }
  if (checkpoint->store) {
    report_.store = checkpoint->store;
  }
}

bool AuditVerifier::Trusts(const Bytes& key) const {
  const std::vector<Bytes>& trusted =
      options_.trusted_keys.empty() ? report_.signing_keys : options_.trusted_keys;
  return trusted.empty() || std::ranges::find(trusted, key) != trusted.end();
}

// The digest of an earlier record, null when it is not among the recent ones.
const Sha256Digest* AuditVerifier::HashOf(std::uint64_t seq) const {
  const bool known = report_.records != 0 && seq >= report_.first_seq && seq <= report_.head.seq &&
                     report_.head.seq - seq < kRecentRecords;
  return known ? &recent_[seq % kRecentRecords] : nullptr;
}

void AuditVerifier::Problem(std::string what) {
  report_.problem = AuditProblem{
      .file = file_, .line = line_, .expected_seq = report_.head.seq + 1, .what = std::move(what)};
}

Result<AuditReport> VerifyAuditFiles(const std::vector<std::string>& paths,
                                     AuditVerifierOptions options) {
  AuditVerifier verifier(std::move(options));
  std::array<char, std::size_t{64} << 10U> chunk{};
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
      return NotFound("the audit log " + path + " cannot be read");
    }
    verifier.StartFile(path);
    while (file.read(chunk.data(), chunk.size()) || file.gcount() > 0) {
      if (!verifier.Feed({chunk.data(), static_cast<std::size_t>(file.gcount())})) {
        return verifier.Finish();
      }
    }
  }
  return verifier.Finish();
}

}  // namespace kms
