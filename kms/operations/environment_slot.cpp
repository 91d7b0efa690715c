// SPDX-License-Identifier: Apache-2.0
// Opening, proving and sealing one environment.
#include "kms/operations/environment_slot.h"

#include <algorithm>
#include <utility>

#include "kms/master/oldest_key.h"
#include "kms/operations/hsm_events.h"
#include "kms/operations/resident_keys.h"

namespace kms::internal {

namespace {

std::int64_t MillisecondsSince(SteadyTime then, SteadyTime now) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now - then).count();
}

// What a failed call says of the token.
MemberState StateAfter(ErrorCode code) {
  switch (code) {
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kCorrupted: return MemberState::kRefused;
    case ErrorCode::kNotFound: return MemberState::kHealing;  // has no wrap of the key yet
    default: return MemberState::kAway;
  }
}

bool Covers(const GroupMaterial& material, std::string_view hsm) {
  const MemberMaterial* const member = material.Find(hsm);
  return member != nullptr && std::ranges::all_of(material.Versions(), [&](auto version) {
           return member->FindWrap(version) != nullptr;
         });
}

}  // namespace

EnvironmentSlot::EnvironmentSlot(std::shared_ptr<Environment> environment, Store& store,
                                 HsmRegistry& hsms, const Clock& clock,
                                 const EnvironmentsOptions& options)
    : environment_(std::move(environment)),
      store_(store),
      clock_(clock),
      options_(options),
      access_{.hsms = hsms, .clock = clock, .timeout = options.hsm_timeout} {}

void EnvironmentSlot::Tell(std::string_view operation, std::string_view hsm, std::string problem,
                           std::int64_t items, bool alarms) const {
  RecordHsmEvent(options_, clock_,
                 {.operation = operation,
                  .environment = environment_->identity().name,
                  .hsm = hsm,
                  .problem = std::move(problem),
                  .items = items,
                  .alarms = alarms});
}

// ---- opening ------------------------------------------------------------------------------------

Result<MaterialHandle> EnvironmentSlot::Read() {
  auto read = std::make_shared<const GroupMaterial>(KMS_TRY(ReadStored()));
  Remember(read);
  if (!read->refused.empty()) {
    TellOfKeys("wraps of environment key version " + std::to_string(read->refused.back()) +
               ", which was forgotten, are in the store again: somebody put them back; they are not "
               "used. The next rotation of the key deletes them (kmsctl env rotate-key --env " +
               environment_->identity().name + ")");
  }
  return read;
}

Result<GroupMaterial> EnvironmentSlot::ReadStored() const {
  GroupMaterial material = KMS_TRY(ReadGroupMaterial(store_, environment_->identity().id));
  const ScopedLock lock(mutex_);
  RefuseKeysBelow(oldest_, material);
  if (material.Versions().empty()) {
    return Corrupted("environment " + environment_->identity().name +
                     ": only keys are stored that were forgotten; restore the store from a backup");
  }
  return material;
}

void EnvironmentSlot::RefuseBelow(EnvironmentKeyVersion oldest) {
  const ScopedLock lock(mutex_);
  oldest_ = std::max(oldest_, oldest);
}

// Which are valid is sealed under the latest key: that one is opened first when there are several.
Status EnvironmentSlot::RefuseForgotten(MaterialHandle& material,
                                        const std::vector<std::string>& order) {
  const std::vector<EnvironmentKeyVersion> versions = material->Versions();
  if (versions.size() == 1) {
    return Ok();
  }
  EnvironmentKeys latest;
  for (const std::string& hsm : order) {
    Result<SecretBytes> key = OpenWrap(*material, hsm, versions.back());
    if (key.has_value()) {
      latest.emplace(versions.back(), *std::move(key));
      break;
    }
  }
  if (latest.empty()) {
    return Ok();  // OpenKeys will say why
  }
  const auto oldest = KMS_TRY(ReadOldestKey(store_, environment_->identity().id, latest));
  if (!oldest) {
    TellOfKeys("nothing says which of its " + std::to_string(versions.size()) +
               " keys are valid: the record of the oldest is of an earlier release, or somebody "
               "removed it. If no rotation of the key is under way, an old one was put back");
    return Ok();
  }
  RefuseBelow(*oldest);
  if (versions.front() < *oldest) {
    material = KMS_TRY(Read());
  }
  return Ok();
}

void EnvironmentSlot::TellOfKeys(std::string problem) {
  {
    const ScopedLock lock(mutex_);
    if (told_of_keys_ == problem) {
      return;
    }
    told_of_keys_ = problem;
  }
  Tell("key-refused", {}, std::move(problem), 0, true);
}

// Whoever read earlier than somebody else committed does not undo what that one remembered.
void EnvironmentSlot::Remember(const MaterialHandle& material) {
  const ScopedLock lock(mutex_);
  if (material_ != nullptr && material->group_revision < material_->group_revision) {
    return;
  }
  material_ = material;
  is_stale_ = false;
  if (const auto& keys = environment_->resident_keys(); keys != nullptr) {
    std::vector<std::string> members;
    for (const GroupMember& member : material->group.members) {
      members.push_back(member.hsm);
    }
    keys->SetMembers(std::move(members));
  }
}

std::vector<std::string> EnvironmentSlot::OrderOf(const GroupMaterial& material,
                                                  std::string_view first) const {
  if (first.empty()) {
    return Ranked();
  }
  std::vector<std::string> order{std::string(first)};
  if (!Covers(material, first)) {
    for (std::string& hsm : Ranked()) {
      if (hsm != first) {
        order.push_back(std::move(hsm));
      }
    }
  }
  return order;
}

Status EnvironmentSlot::Open(std::string_view first) {
  const SteadyTime started = clock_.SteadyNow();
  Result<MaterialHandle> material = Read();
  if (!material.has_value()) {
    return Explain(std::move(material).error());
  }
  const Status valid = RefuseForgotten(*material, OrderOf(**material, first));
  if (!valid.has_value()) {
    return Explain(valid.error());
  }
  auto keys = OpenKeys(**material, OrderOf(**material, first));
  if (!keys.has_value()) {
    return Explain(std::move(keys).error());
  }
  return Unseal(*material, *std::move(keys), started);
}

Result<EnvironmentKeys> EnvironmentSlot::OpenKeys(const GroupMaterial& material,
                                                  const std::vector<std::string>& order) {
  const std::vector<EnvironmentKeyVersion> versions = material.Versions();
  EnvironmentKeys keys;
  std::optional<Error> failure;
  for (const std::string& hsm : order) {
    if (keys.size() == versions.size()) {
      break;
    }
    const SteadyTime started = clock_.SteadyNow();
    std::optional<Error> newest_lost;
    const Status opened = OpenBy(hsm, material, versions, keys, newest_lost);
    if (opened.has_value() && newest_lost) {
      NoteNewestLost(hsm, *newest_lost, started);
    } else {
      Note(hsm, opened, started);
    }
    // What comes back by itself is the better reason to give.
    if (!opened.has_value() && (!failure || opened.error().code == ErrorCode::kUnavailable)) {
      failure = opened.error();
    }
  }
  if (keys.size() == versions.size()) {
    return keys;
  }
  return failure ? *failure
                 : Unavailable("environment " + environment_->identity().name +
                               ": no HSM that answers holds all of its keys; it opens by itself as "
                               "soon as the others answer again");
}

// What one token says is believed as a whole or not at all.
Status EnvironmentSlot::OpenBy(std::string_view hsm, const GroupMaterial& material,
                               const std::vector<EnvironmentKeyVersion>& versions,
                               EnvironmentKeys& keys, std::optional<Error>& newest_lost) {
  EnvironmentKeys opened;
  bool lacks_some = false;
  for (const EnvironmentKeyVersion version : versions) {
    if (keys.contains(version)) {
      continue;
    }
    Result<SecretBytes> key = OpenWrap(material, hsm, version, &newest_lost);
    if (key.has_value()) {
      opened.emplace(version, *std::move(key));
    } else if (key.error().code == ErrorCode::kNotFound) {
      lacks_some = true;
    } else {
      return std::move(key).error();
    }
  }
  if (opened.empty() && lacks_some) {
    return NotFound("HSM " + std::string(hsm) + " has no wrap of the environment key yet");
  }
  keys.merge(opened);
  return Ok();
}

Status EnvironmentSlot::Adopt(EnvironmentKeys keys) {
  const SteadyTime started = clock_.SteadyNow();
  const MaterialHandle material = KMS_TRY(Read());
  for (const GroupMember& member : material->group.members) {
    if (Covers(*material, member.hsm)) {
      Note(member.hsm, Ok(), started);
    }
  }
  return Unseal(material, std::move(keys), started);
}

Status EnvironmentSlot::Unseal(const MaterialHandle& material, EnvironmentKeys keys,
                               SteadyTime proven) {
  const ScopedLock lock(mutex_);
  if (held_sealed_) {
    return FailedPrecondition("environment is sealed", environment_->seal_reason());
  }
  if (environment_->sealed()) {
    // A key that was added since would be missing.
    if (material_->group_revision != material->group_revision) {
      return Unavailable("the keys of the environment were changed meanwhile; retry");
    }
    KMS_TRY(environment_->Unseal(std::move(keys)));
  }
  proven_ = std::max(proven_.value_or(proven), proven);
  return Ok();
}

// Another token may have opened it meanwhile: it is not sealed again for this one.
Status EnvironmentSlot::Explain(Error error) {
  const ScopedLock lock(mutex_);
  if (!held_sealed_ && environment_->sealed()) {
    environment_->Seal(WhyNoneProves(error.public_message));
  }
  return error;
}

std::string EnvironmentSlot::WhyNoneProves(const std::string& otherwise) const {
  if (members_.size() < 2) {
    const bool known = !members_.empty() && !members_.begin()->second.reason.empty();
    return known ? members_.begin()->second.reason : otherwise;
  }
  std::string reasons;
  for (const auto& [hsm, member] : members_) {
    if (!member.reason.empty()) {
      reasons += "; HSM " + hsm + ": " + member.reason;
    }
  }
  return reasons.empty()
             ? otherwise
             : "no HSM of environment " + environment_->identity().name + " opens it" + reasons;
}

// ---- leases -------------------------------------------------------------------------------------

void EnvironmentSlot::ProveBy(std::string_view hsm) {
  bool is_stale = false;
  {
    const ScopedLock lock(mutex_);
    if (held_sealed_) {
      return;
    }
    is_stale = is_stale_;
  }
  if (is_stale) {
    IgnoreError(Read(), "what was known still proves the lease");
  }
  const MaterialHandle known = material();
  if (known != nullptr && known->group.Find(hsm) == nullptr) {
    return;
  }
  if (known == nullptr || environment_->sealed()) {
    if (Open(hsm).has_value()) {
      Tell("lease-unseal", hsm, {});
    }
    return;
  }
  if (!IsDue(hsm, *known)) {
    return;
  }
  const SteadyTime started = clock_.SteadyNow();
  std::optional<Error> newest_lost;
  Status proof = ProveLatest(hsm, *known, newest_lost);
  // A master key that was retired meanwhile is no fault of the token.
  if (const MaterialHandle now = material();
      (!proof.has_value() || newest_lost) && now != known) {
    newest_lost.reset();
    proof = ProveLatest(hsm, *now, newest_lost);
  }
  if (!proof.has_value() && environment_->sealed()) {
    return;  // sealed meanwhile: the next round tries to open it
  }
  if (proof.has_value() && newest_lost) {
    NoteNewestLost(hsm, *newest_lost, started);
    return;
  }
  Note(hsm, proof, started);
  // One that has no wrap of the latest key yet proves itself by opening the one it is given.
  if (proof.has_value() || proof.error().code == ErrorCode::kNotFound) {
    const Status healed = Heal(hsm, started);
    if (!healed.has_value()) {
      NoteNotHealed(hsm, healed.error());
    }
  }
}

// Rounds come as often as the environment with the shortest interval asks for; the others spare the
// HSM a call. A tenth is left for rounds that come a little early.
bool EnvironmentSlot::IsDue(std::string_view hsm, const GroupMaterial& material) const {
  const std::chrono::milliseconds interval = lease().interval;
  const ScopedLock lock(mutex_);
  const auto found = members_.find(hsm);
  if (found == members_.end() || found->second.state != MemberState::kReady ||
      !found->second.proven || LacksAnything(material, hsm)) {
    return true;
  }
  return clock_.SteadyNow() - *found->second.proven >= interval * 9 / 10;
}

Status EnvironmentSlot::ProveLatest(std::string_view hsm, const GroupMaterial& material,
                                    std::optional<Error>& newest_lost) {
  const EnvironmentKeyVersion version = KMS_TRY(environment_->keyring().Latest());
  const SecretBytes key = KMS_TRY(OpenWrap(material, hsm, version, &newest_lost));
  if (!environment_->keyring().Holds(version, key) && !environment_->sealed()) {
    return Corrupted("environment " + environment_->identity().name +
                     ": the HSM opened the environment key to another value; it is not asked any "
                     "more: restore the token from its backup");
  }
  return Ok();
}

void EnvironmentSlot::Note(std::string_view hsm, const Status& outcome, SteadyTime started) {
  bool newly_refused = false;
  {
    const ScopedLock lock(mutex_);
    Member& member = members_[std::string(hsm)];
    if (outcome.has_value()) {
      const bool lacks = material_ != nullptr && MissingWraps(*material_, hsm) != 0;
      member.state = lacks ? MemberState::kHealing : MemberState::kReady;
      member.reason = lacks ? "it lacks wraps of environment keys and gets them" : "";
      member.not_healed = lacks ? member.not_healed : "";
      member.proven = started;
      if (!environment_->sealed()) {
        proven_ = std::max(proven_.value_or(started), started);
      }
      return;
    }
    const MemberState state = StateAfter(outcome.error().code);
    newly_refused = state == MemberState::kRefused && member.state != MemberState::kRefused;
    member.state = state;
    member.reason = outcome.error().public_message;
  }
  if (newly_refused) {
    Tell("hsm-refused", hsm, outcome.error().public_message, 0, true);
  }
}

// It is tried again with every round, but told of once.
void EnvironmentSlot::NoteNotHealed(std::string_view hsm, const Error& error) {
  const bool needs_operator = StateAfter(error.code) == MemberState::kRefused;
  bool is_news = false;
  {
    const ScopedLock lock(mutex_);
    Member& member = members_[std::string(hsm)];
    member.state = needs_operator ? MemberState::kRefused : MemberState::kHealing;
    member.reason = error.public_message;
    is_news = needs_operator && member.not_healed != error.public_message;
    member.not_healed = error.public_message;
  }
  if (is_news) {
    Tell("hsm-refused", hsm, error.public_message, 0, true);
  }
}

// The token is there, so the lease holds; but nothing is wrapped by it until an operator has acted.
void EnvironmentSlot::NoteNewestLost(std::string_view hsm, const Error& error, SteadyTime started) {
  bool is_news = false;
  {
    const ScopedLock lock(mutex_);
    Member& member = members_[std::string(hsm)];
    is_news = member.state != MemberState::kRefused || member.reason != error.public_message;
    member.state = MemberState::kRefused;
    member.reason = error.public_message;
    member.proven = started;
    if (!environment_->sealed()) {
      proven_ = std::max(proven_.value_or(started), started);
    }
  }
  if (is_news) {
    Tell("hsm-refused", hsm, error.public_message, 0, true);
  }
}

void EnvironmentSlot::SealIfExpired() {
  const std::chrono::milliseconds grace = lease().grace;
  if (grace == kLeaseForever) {
    return;
  }
  std::string problem;
  {
    const ScopedLock lock(mutex_);
    if (environment_->sealed()) {
      return;
    }
    const SteadyTime now = clock_.SteadyNow();
    const SteadyTime proven = proven_.value_or(SteadyTime::min());
    if (proven_ && now - proven <= grace) {
      return;
    }
    const std::string why = WhyNoneProves(
        "no HSM proved in time that it is there; it opens by itself as soon as one does");
    environment_->Seal(why);
    const std::int64_t age = proven_ ? MillisecondsSince(proven, now) : grace.count();
    last_seal_ = LastSeal{.unix_seconds = ToUnixSeconds(clock_.Now()),
                          .reason = why,
                          .unproven_ms = age,
                          .late_ms = age - grace.count()};
    problem = "sealed " + std::to_string(age) + " ms after the last proof, " +
              std::to_string(age - grace.count()) + " ms after the end of its grace: " + why;
  }
  Tell("lease-seal", {}, std::move(problem), 0, true);
}

void EnvironmentSlot::HoldSealed(std::string reason) {
  const ScopedLock lock(mutex_);
  held_sealed_ = true;
  last_seal_ = LastSeal{.unix_seconds = ToUnixSeconds(clock_.Now()), .reason = reason};
  environment_->Seal(std::move(reason));
}

Status EnvironmentSlot::Release() {
  {
    const ScopedLock lock(mutex_);
    held_sealed_ = false;
  }
  return environment_->sealed() ? Open() : Ok();
}

LeaseSettings EnvironmentSlot::lease() const {
  return LeaseSettingsOf(environment_->settings(), options_);
}

}  // namespace kms::internal
