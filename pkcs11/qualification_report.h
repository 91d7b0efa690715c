// SPDX-License-Identifier: Apache-2.0
// The qualification report for people and for programs, and its verdict.
#pragma once

#include <string>
#include <vector>

#include "pkcs11/qualification.h"

namespace kms::pkcs11 {

struct Verdict {
  bool usable = false;
  std::vector<std::string> reasons;   // why not; empty when usable
  std::vector<std::string> warnings;  // what to know before relying on it
  std::uint32_t sessions = 0;         // recommended
};
Verdict JudgeQualification(const QualificationReport& report);

// Pretty-printed JSON with a line end: format, module, token, mechanisms, findings, performance and
// verdict, which holds the `hsm` section to paste when the token is usable.
std::string QualificationJson(const QualificationOptions& options,
                              const QualificationReport& report);
// The same as text tables.
std::string QualificationText(const QualificationOptions& options,
                              const QualificationReport& report);

}  // namespace kms::pkcs11
