// SPDX-License-Identifier: Apache-2.0
// The list of steps. Each may be the last of its child, so none relies on another but by facts.
#include "pkcs11/qualification_bench.h"

namespace kms::pkcs11 {
namespace {

Status Clean(QualificationBench& bench) {
  const std::size_t removed = KMS_TRY(bench.RemoveTestObjects());
  if (removed > 0) {
    bench.Note("leftovers", std::to_string(removed) + " objects of an interrupted test removed");
  }
  return Ok();
}

Status CleanUp(QualificationBench& bench) {
  const std::size_t removed = KMS_TRY(bench.RemoveTestObjects());
  const std::size_t left = KMS_TRY(bench.RemoveTestObjects());
  if (left > 0) {
    bench.Bad("destruction", "objects that were destroyed are still there");
    return Ok();
  }
  bench.Good("cleaned up", removed == 0 ? "nothing of the tests is left in the token"
                                        : std::to_string(removed) + " objects removed");
  return Ok();
}

std::vector<QualificationStep> MakeSteps() {
  std::vector<QualificationStep> steps;
  // The child connects before the first step that it was asked for; here it has done so.
  steps.push_back({"connection", "connect", Clean});
  steps.push_back({"mechanisms", "list", QualifyMechanismList});
  for (const WrapProfile& candidate : WrapCandidates()) {
    steps.push_back(
        {"mechanisms", CandidateName(candidate),
         [candidate](QualificationBench& bench) { return QualifyCandidate(bench, candidate); }});
  }
  steps.push_back({"master key", "made and found again", QualifyMasterKey});
  steps.push_back({"attributes", "defaults", QualifyDefaults});
  steps.push_back({"attributes", "secrecy", QualifySecrecy});
  steps.push_back({"attributes", "policies", QualifyPolicies});
  steps.push_back({"attributes", "names", QualifyNames});
  steps.push_back({"gcm", "nonces", QualifyGcm});
  steps.push_back({"buffers", "sizes", QualifyBuffers});
  steps.push_back({"errors", "damaged input", QualifyErrors});
  steps.push_back({"random", "generator", QualifyRandom});
  steps.push_back({"signing", "audit key", QualifySigning});
  steps.push_back({"resident keys", "types", QualifyResidentKeys});
  steps.push_back({"sessions", "how many", QualifySessions});
  steps.push_back({"performance", "rates", QualifyRates});
  steps.push_back({"recovery", "lost sessions", QualifySessionLoss});
  steps.push_back({"recovery", "initialised anew", QualifyReinitialisation});
  steps.push_back({"pin", "wrong PIN", QualifyWrongPin});
  steps.push_back({"connection", "cleaned up", CleanUp});
  return steps;
}

}  // namespace

const std::vector<QualificationStep>& QualificationSteps() {
  static const std::vector<QualificationStep> steps = MakeSteps();
  return steps;
}

}  // namespace kms::pkcs11
