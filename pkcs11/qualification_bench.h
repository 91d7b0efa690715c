// SPDX-License-Identifier: Apache-2.0
// QualificationBench: the connected token in the child, and what the steps of the test share.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/master_key.h"
#include "pkcs11/module.h"
#include "pkcs11/negotiation.h"
#include "pkcs11/qualification.h"
#include "pkcs11/qualification_channel.h"
#include "pkcs11/session.h"
#include "pkcs11/token_lock.h"

namespace kms::pkcs11 {

// Everything that a step makes in the token bears this label.
inline constexpr std::string_view kQualificationLabel = "kms-test";

// Thread rule: one thread; the sessions it opens may go to others.
class QualificationBench {
 public:
  using Sender = std::function<void(const QualificationMessage&)>;

  QualificationBench(QualificationTask task, SecretBytes pin, Sender send);
  ~QualificationBench();
  QualificationBench(const QualificationBench&) = delete;
  QualificationBench& operator=(const QualificationBench&) = delete;

  // ---- the connection
  // Loads, initialises, finds the token and logs in. Each failure is a finding; false then.
  // `report` is false when an earlier child has told of the module and the token.
  bool Connect(bool report);
  // Closes every session and finalises the module.
  void Disconnect();
  // Both, silently.
  Status Reconnect();

  [[nodiscard]] const Module& module() const { return *module_; }
  [[nodiscard]] const CK_FUNCTION_LIST& calls() const { return module_->functions(); }
  [[nodiscard]] CK_SLOT_ID slot() const { return token_.slot; }
  [[nodiscard]] const TokenFacts& token() const { return token_; }
  [[nodiscard]] const QualificationTask& task() const { return task_; }
  [[nodiscard]] const SecretBytes& pin() const { return pin_; }
  // Beside the anchor, whose session a step shares where the token grants no more.
  [[nodiscard]] Result<Session> Open();
  // One that the token really grants.
  [[nodiscard]] Result<Session> OpenOwn() const { return Session::Open(*module_, token_.slot); }
  [[nodiscard]] Result<Proof> Prove(const WrapProfile& candidate) {
    return ProveCandidate(*anchor_, token_.slot, candidate);
  }

  // The parts of Connect, for the step that tries a wrong PIN.
  [[nodiscard]] Rv Initialize();
  Status FindToken();
  Rv Login(const SecretBytes& pin);

  // ---- what is told
  void BeginStep(std::size_t index, std::string_view section);
  void Tell(Mark mark, std::string name, std::string text);
  void Good(std::string name, std::string text) {
    Tell(Mark::kGood, std::move(name), std::move(text));
  }
  void Note(std::string name, std::string text) {
    Tell(Mark::kNote, std::move(name), std::move(text));
  }
  void Warn(std::string name, std::string text) {
    Tell(Mark::kWarning, std::move(name), std::move(text));
  }
  void Bad(std::string name, std::string text) {
    Tell(Mark::kBad, std::move(name), std::move(text));
  }
  void Tell(const MeasuredRate& rate) { send_(rate); }
  void Learn(const std::string& name, const std::string& value);
  [[nodiscard]] std::string Known(const std::string& name) const;

  // ---- mechanisms and keys
  // Mechanisms that the token lists. Errors: as the module.
  Result<std::vector<CK_MECHANISM_TYPE>> ListMechanisms() const;
  // The first candidate that passed, if any did.
  [[nodiscard]] std::optional<WrapProfile> BestProfile() const;
  // What must be left out of templates.
  [[nodiscard]] ExtraAttributes TestExtras() const;
  void LearnBest(const WrapProfile& profile, const Proof& proof);

  struct TestKey {
    Uuid id;
    GeneratedKey key;
    WrapProfile profile;
    [[nodiscard]] WrappingKey wrapping() const {
      return {.handle = key.handle, .profile = profile, .public_key = key.public_key};
    }
  };
  // A key of the best profile: of `keeper`'s session where the token has such, or in the token.
  // Errors: as the session; kFailedPrecondition without a profile.
  Result<TestKey> MakeKey(Session& keeper, bool in_token) const;
  // Whether test keys must be token objects.
  [[nodiscard]] bool TokenKeysOnly() const { return Known("best.token_keys_only") == "yes"; }

  // Destroys every object of ours; returns how many. Initialises the library anew where it
  // destroys nothing that a call has failed with.
  Result<std::size_t> RemoveTestObjects();

 private:
  Status TakeSoftHsmLocks();
  Result<std::size_t> TryToRemoveTestObjects();
  bool ReportModule();
  bool ReportToken();
  bool CheckPinFlags();

  const QualificationTask task_;
  const SecretBytes pin_;
  const Sender send_;
  std::map<std::string, std::string> facts_;
  std::string section_;
  std::unique_ptr<Module> module_;
  std::unique_ptr<FileLock> owner_lock_;
  TokenFacts token_;
  std::optional<Session> anchor_;
  bool initialized_ = false;
};

struct QualificationStep {
  std::string_view section;
  std::string name;
  std::function<Status(QualificationBench&)> run;
};
// Every step in its order; the first connects and the last cleans up. The same list in the parent
// and in its children.
const std::vector<QualificationStep>& QualificationSteps();

// An error as the report tells it: with the function and the return value.
std::string ToldError(const Error& error);

// ---- the steps, by file
// qualification_mechanisms.cpp
Status QualifyMechanismList(QualificationBench& bench);
Status QualifyCandidate(QualificationBench& bench, const WrapProfile& candidate);
Status QualifyMasterKey(QualificationBench& bench);
Status QualifyGcm(QualificationBench& bench);
// "gcm-encrypt", with what is special about the variation.
std::string CandidateName(const WrapProfile& candidate);
// qualification_attributes.cpp
Status QualifyDefaults(QualificationBench& bench);
Status QualifySecrecy(QualificationBench& bench);
Status QualifyPolicies(QualificationBench& bench);
Status QualifyNames(QualificationBench& bench);
// qualification_behaviour.cpp
Status QualifyBuffers(QualificationBench& bench);
Status QualifyErrors(QualificationBench& bench);
Status QualifyRandom(QualificationBench& bench);
// qualification_keys.cpp
Status QualifySigning(QualificationBench& bench);
Status QualifyResidentKeys(QualificationBench& bench);
// Makes an EC P-256 pair, of the session or in the token, by the handles in the result.
Result<Session::KeyPair> MakeEcPair(Session& keeper, bool in_token, const Uuid& id);
// CKM_ECDSA over 32 bytes.
Rv SignOnce(Session& session, CK_OBJECT_HANDLE key, ByteView digest, Bytes& signature);
// qualification_rates.cpp
Status QualifyRates(QualificationBench& bench);
// qualification_sessions.cpp
Status QualifySessions(QualificationBench& bench);
Status QualifySessionLoss(QualificationBench& bench);
Status QualifyReinitialisation(QualificationBench& bench);
Status QualifyWrongPin(QualificationBench& bench);

}  // namespace kms::pkcs11
