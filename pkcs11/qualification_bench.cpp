// SPDX-License-Identifier: Apache-2.0
// Connecting, telling, and the keys of the tests.
#include "pkcs11/qualification_bench.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "kms/base/clock.h"
#include "pkcs11/attributes.h"

namespace kms::pkcs11 {
namespace {

constexpr std::chrono::seconds kLoginLockWait{10};
constexpr std::array<std::string_view, 2> kLabels = {kQualificationLabel, "kms-test known answers"};
// A token that finds what was destroyed would be searched for ever.
constexpr std::size_t kMostLeftovers = 2000;

std::string VersionText(const CK_VERSION& version) {
  return std::to_string(version.major) + "." + std::to_string(version.minor);
}

std::string CountText(CK_ULONG count) {
  if (count == kUnavailableInformation) return "not told";
  return count == 0 ? "unlimited" : std::to_string(count);
}

struct FlagName {
  CK_FLAGS flag;
  std::string_view name;
};
constexpr FlagName kTokenFlags[] = {
    {CKF_RNG, "rng"},
    {CKF_WRITE_PROTECTED, "write-protected"},
    {CKF_LOGIN_REQUIRED, "login-required"},
    {CKF_USER_PIN_INITIALIZED, "user-pin-initialized"},
    {CKF_PROTECTED_AUTHENTICATION_PATH, "protected-authentication-path"},
    {CKF_TOKEN_INITIALIZED, "token-initialized"},
    {CKF_USER_PIN_COUNT_LOW, "user-pin-count-low"},
    {CKF_USER_PIN_FINAL_TRY, "user-pin-final-try"},
    {CKF_USER_PIN_LOCKED, "user-pin-locked"},
    {CKF_USER_PIN_TO_BE_CHANGED, "user-pin-to-be-changed"},
};

std::string FlagText(CK_FLAGS flags) {
  std::string text;
  for (const FlagName& row : kTokenFlags) {
    if ((flags & row.flag) != 0) text += (text.empty() ? "" : " ") + std::string(row.name);
  }
  return text;
}

std::string Told(const Rv& rv) { return std::string(rv.function) + ": " + RvName(rv.value); }

}  // namespace

std::string ToldError(const Error& error) {
  // The call and its return value say more than the sentence for clients.
  if (error.detail.starts_with("C_")) return error.detail;
  return error.detail.empty() ? error.public_message
                              : error.public_message + " (" + error.detail + ")";
}

QualificationBench::QualificationBench(QualificationTask task, SecretBytes pin, Sender send)
    : task_(std::move(task)), pin_(std::move(pin)), send_(std::move(send)), facts_(task_.facts) {}

QualificationBench::~QualificationBench() = default;

// ---- what is told ------------------------------------------------------------------------------

void QualificationBench::BeginStep(std::size_t index, std::string_view section) {
  section_ = section;
  send_(StepBegins{index});
}

void QualificationBench::Tell(Mark mark, std::string name, std::string text) {
  send_(Finding{section_, std::move(name), mark, std::move(text)});
}

void QualificationBench::Learn(const std::string& name, const std::string& value) {
  facts_[name] = value;
  send_(LearntFact{name, value});
}

std::string QualificationBench::Known(const std::string& name) const {
  const auto found = facts_.find(name);
  return found == facts_.end() ? std::string() : found->second;
}

// ---- the connection ----------------------------------------------------------------------------

bool QualificationBench::Connect(bool report) {
  auto module = Module::Load(task_.token.module_path);
  if (!module.has_value()) {
    Bad("module", ToldError(module.error()));
    return false;
  }
  module_ = std::move(*module);
  const Status locked = TakeSoftHsmLocks();
  if (!locked.has_value()) {
    Bad("token", ToldError(locked.error()));
    return false;
  }
  const Rv initialized = Initialize();
  if (!initialized.ok()) {
    Bad("module", "it does not start: " + Told(initialized));
    return false;
  }
  if (report && !ReportModule()) return false;
  const Status found = FindToken();
  if (!found.has_value()) {
    Bad("token", ToldError(found.error()));
    return false;
  }
  if (report && !ReportToken()) return false;
  if (!CheckPinFlags()) return false;
  const Rv login = Login(pin_);
  if (login.ok()) {
    if (report) Good("login", "the PIN is accepted");
    return true;
  }
  Bad("login", "the token refuses the PIN, which was tried once: " + Told(login));
  return false;
}

void QualificationBench::Disconnect() {
  anchor_.reset();
  if (initialized_) static_cast<void>(module_->Finalize());
  initialized_ = false;
}

Status QualificationBench::Reconnect() {
  Disconnect();
  const Rv initialized = Initialize();
  if (!initialized.ok()) return initialized.ToError();
  KMS_TRY(FindToken());
  const Rv login = Login(pin_);
  if (!login.ok()) return login.ToError();
  return Ok();
}

Rv QualificationBench::Initialize() {
  const Rv rv = module_->Initialize(task_.token.module_init);
  initialized_ = rv.ok();
  return rv;
}

// One process per SoftHSM token: a kmsd that serves it keeps this lock.
Status QualificationBench::TakeSoftHsmLocks() {
  const std::string& state = task_.token.softhsm_state_directory;
  if (state.empty()) return Ok();
  auto owned = FileLock::Acquire(OwnerLockPath(state, task_.token.token_label),
                                 std::chrono::steady_clock::now());
  if (!owned.has_value()) {
    return FailedPrecondition("kmsd serves this SoftHSM token; stop it first, or test a copy",
                              owned.error().detail);
  }
  owner_lock_ = std::move(*owned);
  return Ok();
}

Status QualificationBench::FindToken() {
  std::string_view wanted = task_.token.token_label;
  wanted = wanted.substr(0, wanted.find_last_not_of(' ') + 1);
  std::vector<TokenFacts> tokens;
  const Rv rv = module_->ListTokens(tokens);
  if (!rv.ok()) return rv.ToError();
  std::string labels;
  std::vector<TokenFacts> matching;
  for (const TokenFacts& token : tokens) {
    labels += (labels.empty() ? "\"" : ", \"") + token.label + "\"";
    const bool serial_matches =
        task_.token.token_serial.empty() || token.serial == task_.token.token_serial;
    if (token.label == wanted && serial_matches) matching.push_back(token);
  }
  if (matching.size() == 1) {
    token_ = matching.front();
    return Ok();
  }
  if (matching.empty()) {
    return NotFound("no token bears that label and serial number",
                    labels.empty() ? "the module lists no token" : "tokens: " + labels);
  }
  return FailedPrecondition(
      "several tokens bear the label; relabel all but one, or give the serial "
      "number",
      labels);
}

bool QualificationBench::ReportModule() {
  CK_INFO info{};
  if (calls().C_GetInfo(&info) != CKR_OK) {
    Warn("module", "it does not tell about itself (C_GetInfo)");
    return true;
  }
  Learn("module.path", module_->path());
  Learn("module.description", module_->Description());
  Learn("module.cryptoki_version", VersionText(info.cryptokiVersion));
  Learn("module.library_version", VersionText(info.libraryVersion));
  Good("module", module_->Description() + ", Cryptoki " + VersionText(info.cryptokiVersion));
  return true;
}

bool QualificationBench::ReportToken() {
  CK_TOKEN_INFO info{};
  const Rv rv{calls().C_GetTokenInfo(slot(), &info), "C_GetTokenInfo"};
  if (!rv.ok()) {
    Bad("token", "it does not tell about itself: " + Told(rv));
    return false;
  }
  Learn("token.label", token_.label);
  Learn("token.serial", token_.serial);
  Learn("token.manufacturer", TrimmedField(info.manufacturerID, sizeof(info.manufacturerID)));
  Learn("token.model", TrimmedField(info.model, sizeof(info.model)));
  Learn("token.firmware", VersionText(info.firmwareVersion));
  Learn("token.hardware", VersionText(info.hardwareVersion));
  Learn("token.flags", FlagText(info.flags));
  Learn("token.sessions", CountText(info.ulMaxSessionCount));
  Learn("token.rw_sessions", CountText(info.ulMaxRwSessionCount));
  Learn("token.pin_lengths",
        std::to_string(info.ulMinPinLen) + "-" + std::to_string(info.ulMaxPinLen));
  Good("token", "\"" + token_.label + "\", serial " + token_.serial + ", " +
                    Known("token.manufacturer") + " " + Known("token.model") + ", firmware " +
                    Known("token.firmware"));
  Note("flags", FlagText(info.flags));
  if ((info.flags & CKF_WRITE_PROTECTED) != 0) {
    Bad("token", "it is write-protected; master keys must be made in it");
    return false;
  }
  return true;
}

// The last try is the operator's: a wrong PIN there locks the token.
bool QualificationBench::CheckPinFlags() {
  if ((token_.flags & CKF_USER_PIN_INITIALIZED) == 0) {
    Bad("login", "the token has no user PIN; initialise it with the vendor's tool");
    return false;
  }
  if ((token_.flags & (CKF_USER_PIN_LOCKED | CKF_USER_PIN_FINAL_TRY)) != 0) {
    Bad("login",
        "the PIN is locked or one wrong try away from it; log in by hand with the vendor's "
        "tool to reset the counter. It was not tried");
    return false;
  }
  return true;
}

Rv QualificationBench::Login(const SecretBytes& pin) {
  std::unique_ptr<FileLock> login_lock;
  if (const std::string& state = task_.token.softhsm_state_directory; !state.empty()) {
    auto lock =
        FileLock::Acquire(LoginLockPath(state), std::chrono::steady_clock::now() + kLoginLockWait);
    if (lock.has_value()) login_lock = std::move(*lock);
  }
  anchor_.reset();
  const Rv opened = Session::Open(*module_, slot(), anchor_);
  return opened.ok() ? anchor_->Login(CKU_USER, pin) : opened;
}

Result<Session> QualificationBench::Open() {
  return anchor_.has_value() ? Session::OpenBeside(*anchor_, slot()) : OpenOwn();
}

// ---- mechanisms and keys -----------------------------------------------------------------------

Result<std::vector<CK_MECHANISM_TYPE>> QualificationBench::ListMechanisms() const {
  CK_ULONG count = 0;
  Rv rv{calls().C_GetMechanismList(slot(), nullptr, &count), "C_GetMechanismList"};
  if (!rv.ok()) return rv.ToError();
  // Some modules list fewer than they count.
  std::vector<CK_MECHANISM_TYPE> list(count + 8);
  count = list.size();
  rv.value = calls().C_GetMechanismList(slot(), list.data(), &count);
  if (!rv.ok()) return rv.ToError();
  list.resize(std::min<std::size_t>(count, list.size()));
  return list;
}

void QualificationBench::LearnBest(const WrapProfile& profile, const Proof& proof) {
  Learn("best.mechanism", std::string(WrapMechanismName(profile.mechanism)));
  Learn("best.candidate", CandidateName(profile));
  Learn("best.template", proof.extras == ExtraAttributes::kFewest ? "fewest attributes" : "full");
  Learn("best.reports_local", proof.reports_local ? "yes" : "no");
  Learn("best.token_keys_only", proof.by_token_key ? "yes" : "no");
}

std::optional<WrapProfile> QualificationBench::BestProfile() const {
  const std::string best = Known("best.candidate");
  const auto found = std::ranges::find_if(WrapCandidates(), [&](const WrapProfile& candidate) {
    return CandidateName(candidate) == best;
  });
  if (found == WrapCandidates().end()) return std::nullopt;
  return *found;
}

ExtraAttributes QualificationBench::TestExtras() const {
  return Known("best.template") == "full" ? ExtraAttributes::kNone : ExtraAttributes::kFewest;
}

Result<QualificationBench::TestKey> QualificationBench::MakeKey(Session& keeper,
                                                                bool in_token) const {
  const auto profile = BestProfile();
  if (!profile.has_value()) {
    return FailedPrecondition("it needs a wrap mechanism, and none passes its test");
  }
  TestKey made{.id = Uuid::Random(), .key = {}, .profile = *profile};
  made.key = KMS_TRY(GenerateMasterKeyObject(keeper,
                                             {.id = made.id,
                                              .label = std::string(kQualificationLabel),
                                              .mechanism = profile->mechanism,
                                              .in_token = in_token || TokenKeysOnly()},
                                             TestExtras()));
  return made;
}

Result<std::size_t> QualificationBench::RemoveTestObjects() {
  const auto removed = TryToRemoveTestObjects();
  if (removed.has_value()) return removed;
  KMS_TRY(Reconnect());
  const std::size_t removed_now = KMS_TRY(TryToRemoveTestObjects());
  if (Known("objects.destroyed").empty()) {
    Note("destroying", "objects are destroyed only after the library is initialised anew: " +
                           ToldError(removed.error()));
  }
  Learn("objects.destroyed", "after initialising anew");
  return removed_now;
}

Result<std::size_t> QualificationBench::TryToRemoveTestObjects() {
  std::size_t removed = 0;
  for (const std::string_view label : kLabels) {
    while (removed < kMostLeftovers) {
      Session session = KMS_TRY(Open());
      AttributeList wanted;
      wanted.Flag(CKA_TOKEN, true).Data(CKA_LABEL, AsBytes(label));
      const auto found = KMS_TRY(session.Find(wanted.span()));
      if (found.empty()) break;
      for (const CK_OBJECT_HANDLE object : found) KMS_TRY(session.DestroyObject(object));
      removed += found.size();
    }
  }
  return removed;
}

}  // namespace kms::pkcs11
