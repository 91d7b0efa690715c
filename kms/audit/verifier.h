// SPDX-License-Identifier: Apache-2.0
// AuditVerifier: proves offline that an audit log is complete and unchanged, or names the first
// record that is not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/audit/chain.h"
#include "kms/audit/checkpoint.h"
#include "kms/base/bytes.h"
#include "kms/base/result.h"

namespace kms {

struct AuditProblem {
  std::string file;
  std::uint64_t line = 0;          // in that file, from 1
  std::uint64_t expected_seq = 0;  // the number of the record that should be there
  std::string what;                // never quotes the file's contents
};

struct AuditReport {
  std::optional<AuditProblem> problem;  // the first one; nothing after it was looked at
  std::uint64_t records = 0;            // good ones
  std::uint64_t first_seq = 0;
  AuditHead head;                     // of the last good record
  std::uint64_t checkpoints = 0;      // with a valid signature
  std::uint64_t last_signed_seq = 0;  // the last record a signature vouches for; 0: none
  std::vector<Bytes> signing_keys;    // of the checkpoints, in order; compare with the HSMs'
  std::optional<StoreStatement> store;  // what the last checkpoint says of the store, if it does

  [[nodiscard]] bool ok() const { return !problem.has_value(); }
  // Records at the end that no signature vouches for yet, the last checkpoint among them.
  [[nodiscard]] std::uint64_t unsigned_records() const {
    return head.seq > last_signed_seq ? head.seq - last_signed_seq : 0;
  }
};

struct AuditVerifierOptions {
  // Each checkpoint must be signed by one of these (SubjectPublicKeyInfo, DER): every HSM of `sys`
  // has a key of its own. Empty: all by the key of the first one, which the report names.
  std::vector<Bytes> trusted_keys;
  // Whether the log may begin later than with record 1: earlier files were archived.
  bool earlier_files_may_be_missing = false;
  // The log must reach at least this number, for example from a copy kept elsewhere.
  std::uint64_t at_least_seq = 0;
};

// Feed files in order: StartFile, Feed…, StartFile, Feed…, Finish. Memory is bounded whatever the
// files hold: lines have a maximal length, records are looked at one by one.
// Thread rule: like a plain value.
class AuditVerifier {
 public:
  explicit AuditVerifier(AuditVerifierOptions options) : options_(std::move(options)) {}

  void StartFile(std::string name);
  // Returns false when a problem was found and the rest need not be fed.
  bool Feed(std::string_view bytes);
  AuditReport Finish();

 private:
  void Line(std::string_view line);
  void EndFile();
  void CheckLink(std::string_view line);
  void CheckCheckpoint(std::string_view line);
  [[nodiscard]] bool Trusts(const Bytes& key) const;
  void Problem(std::string what);
  [[nodiscard]] const Sha256Digest* HashOf(std::uint64_t seq) const;

  const AuditVerifierOptions options_;
  AuditReport report_;
  std::string file_;
  std::uint64_t line_ = 0;
  std::string partial_;               // of a line, at most kMaxAuditLineBytes
  std::vector<Sha256Digest> recent_;  // ring of the last records' digests, by seq
};

// Verifies files on disk, oldest first. Errors: kNotFound when one cannot be read.
Result<AuditReport> VerifyAuditFiles(const std::vector<std::string>& paths,
                                     AuditVerifierOptions options);

}  // namespace kms
