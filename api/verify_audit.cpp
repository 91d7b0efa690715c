// SPDX-License-Identifier: Apache-2.0
#include "api/verify_audit.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "kms/audit/verifier.h"
#include "kms/base/base64.h"

namespace kms::api {

namespace {

constexpr std::string_view kPemBegin = "-----BEGIN PUBLIC KEY-----";
constexpr std::string_view kPemEnd = "-----END PUBLIC KEY-----";

Result<Bytes> ReadPublicKey(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (!file || !(content << file.rdbuf())) {
    return NotFound("cannot read the public key file " + path);
  }
  const std::string text = content.str();
  const std::size_t begin = text.find(kPemBegin);
  const std::size_t end = text.find(kPemEnd);
  if (begin == std::string::npos || end == std::string::npos) {
    return CopyOf(AsBytes(text));
  }
  return Base64Decode(
      std::string_view{text}.substr(begin + kPemBegin.size(), end - begin - kPemBegin.size()));
}

std::vector<std::string> SigningKeys(const AuditReport& report) {
  std::vector<std::string> keys;
  for (const Bytes& key : report.signing_keys) {
    keys.push_back(Base64Encode(key));
  }
  return keys;
}

void PrintJson(const AuditReport& report) {
  nlohmann::ordered_json json{{"ok", report.ok()},
                              {"records", report.records},
                              {"first_seq", report.first_seq},
                              {"last_seq", report.head.seq},
                              {"head", HexEncode(report.head.hash)},
                              {"checkpoints", report.checkpoints},
                              {"last_signed_seq", report.last_signed_seq},
                              {"unsigned_records", report.unsigned_records()},
                              {"signing_keys", SigningKeys(report)}};
  if (report.store) {
    json["epoch"] = report.store->epoch;
    json["store_revision"] = report.store->revision;
    json["store_digest"] = report.store->digest;
  }
  if (!report.ok()) {
    json["problem"] = {{"file", report.problem->file},
                       {"line", report.problem->line},
                       {"seq", report.problem->expected_seq},
                       {"what", report.problem->what}};
  }
  std::printf("%s\n", json.dump(2).c_str());
}

void PrintText(const AuditReport& report) {
  std::printf("records:      %llu (%llu to %llu)\n",
              static_cast<unsigned long long>(report.records),
              static_cast<unsigned long long>(report.first_seq),
              static_cast<unsigned long long>(report.head.seq));
  std::printf("head:         %s\n", HexEncode(report.head.hash).c_str());
  std::printf("checkpoints:  %llu with a valid signature, the last vouches for record %llu\n",
              static_cast<unsigned long long>(report.checkpoints),
              static_cast<unsigned long long>(report.last_signed_seq));
  std::printf("not yet signed: %llu records\n",
              static_cast<unsigned long long>(report.unsigned_records()));
  if (report.store) {
    std::printf("epoch:        %llu, signed with the store at revision %llu\n",
                static_cast<unsigned long long>(report.store->epoch),
                static_cast<unsigned long long>(report.store->revision));
  }
  for (const std::string& key : SigningKeys(report)) {
    std::printf("signing key:  %s\n", key.c_str());
  }
}

}  // namespace

Status VerifyAudit(const VerifyAuditOptions& options) {
  AuditVerifierOptions verifier;
  verifier.earlier_files_may_be_missing = options.earlier_files_may_be_missing;
  verifier.at_least_seq = options.at_least_seq;
  for (const std::string& file : options.public_key_files) {
    verifier.trusted_keys.push_back(KMS_TRY(ReadPublicKey(file)));
  }
  const AuditReport report = KMS_TRY(VerifyAuditFiles(options.files, std::move(verifier)));
  if (options.json) {
    PrintJson(report);
  } else {
    PrintText(report);
  }
  if (report.ok()) {
    return Ok();
  }
  return Corrupted("the audit log does not verify: " + report.problem->file + " line " +
                   std::to_string(report.problem->line) + " (record " +
                   std::to_string(report.problem->expected_seq) + "): " + report.problem->what);
}

}  // namespace kms::api
