// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/resident_versions.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "kms/operations/resident_census.h"
#include "kms/operations/resident_keys.h"

namespace kms {

namespace {

constexpr std::size_t kMaxReferenceBytes = 512;

Result<std::shared_ptr<ResidentKeys>> KeysOf(const Environment& environment) {
  std::shared_ptr<ResidentKeys> keys = environment.resident_keys();
  if (keys == nullptr) {
    return Unavailable("no HSM is connected to this environment");
  }
  return keys;
}

// For people who look into the token.
std::string LabelOf(const Environment& environment, const KeyPolicy& policy,
                    KeyVersionNumber number) {
  const std::string label =
      ResidentLabelPrefix(environment.identity().name) + policy.name + "/" + std::to_string(number);
  return label.substr(0, kMaxResidentLabelBytes);
}

Status Write(Environment& environment, SealedMutation mutation) {
  std::vector<SealedMutation> mutations;
  mutations.push_back(std::move(mutation));
  KMS_TRY(environment.store().Commit(std::move(mutations)));
  return Ok();
}

Result<ResidentDraft> MakeIn(Environment& environment, const ResidentKeys& keys,
                             const KeyPolicy& policy, KeyVersionNumber number,
                             const std::string& hsm) {
  SealedMutation intent =
      KMS_TRY(ResidentEntry(environment, policy, number, hsm, ResidentStage::kMaking));
  KMS_TRY(Write(environment, std::move(intent)));
  auto made =
      keys.Generate(hsm, ResidentKeyId(environment.identity().id, policy.incarnation, number),
                    *ResidentTypeOf(policy.type), LabelOf(environment, policy, number));
  if (!made.has_value()) {
    IgnoreError(DiscardResidentKey(environment, policy.incarnation, number, hsm),
                "what is left is swept later");
    return std::move(made).error();
  }
  ResidentVersion where{.hsm = hsm, .reference = {}, .record = *std::move(made)};
  return ResidentDraft{
      .version = KeyVersion::FromResident(number, environment.clock().Now(), std::move(where)),
      .entry = KMS_TRY(ResidentEntry(environment, policy, number, hsm, ResidentStage::kMade))};
}

// Another token may do what this one does not, or not now.
bool TriesAnother(ErrorCode code) {
  return code == ErrorCode::kUnavailable || code == ErrorCode::kInvalidArgument ||
         code == ErrorCode::kFailedPrecondition;
}

// ---- references --------------------------------------------------------------------------------

struct Reference {
  std::string hsm;
  std::string key;
};

Result<Reference> ParseReference(std::string_view text) {
  const std::size_t colon = text.find(':');
  const bool complete = colon != std::string_view::npos && colon != 0 && colon + 1 < text.size() &&
                        text.size() <= kMaxReferenceBytes;
  if (!complete) {
    return InvalidArgument(
        R"(external_key_ref must be "<hsm>:<label>" or "<hsm>:id=<hex>", for example )"
        R"("default:signing-2026")");
  }
  return Reference{.hsm = std::string(text.substr(0, colon)),
                   .key = std::string(text.substr(colon + 1))};
}

std::vector<std::string_view> Patterns(std::string_view text) {
  std::vector<std::string_view> patterns;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view one = text.substr(0, comma);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    patterns.push_back(one);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return patterns;
}

bool Matches(std::string_view pattern, std::string_view reference) {
  return pattern.ends_with('*') ? reference.starts_with(pattern.substr(0, pattern.size() - 1))
                                : reference == pattern;
}

// Whether `pattern` matches whatever `wanted` does.
bool Covers(std::string_view pattern, std::string_view wanted) {
  if (wanted.ends_with('*') && !pattern.ends_with('*')) {
    return false;
  }
  return Matches(pattern, wanted.ends_with('*') ? wanted.substr(0, wanted.size() - 1) : wanted);
}

Status CheckAllowed(const Environment& environment, std::string_view reference) {
  const EnvironmentSettings settings = environment.settings();
  const auto option = settings.options.find(std::string(kExternalKeysOption));
  const std::string allowed = option == settings.options.end() ? "" : option->second;
  for (const std::string_view pattern : Patterns(allowed)) {
    if (Matches(pattern, reference)) {
      return Ok();
    }
  }
  return MakeError(ErrorCode::kPermissionDenied,
                   "external keys of this name are not allowed in this environment; an operator "
                   "allows them by tuning its option external_keys, for example to "
                   "\"default:app-*\"");
}

Error FetchFailed(Error error) {
  if (error.code == ErrorCode::kNotFound || error.code == ErrorCode::kFailedPrecondition) {
    error.code = ErrorCode::kInvalidArgument;
  }
  error.public_message = "failed to fetch external key: " + error.public_message;
  return error;
}

}  // namespace

Status CheckExternalKeysOption(std::string_view text) {
  for (const std::string_view pattern : Patterns(text)) {
    const std::size_t colon = pattern.find(':');
    const std::size_t star = pattern.find('*');
    const bool good =
        colon != std::string_view::npos && colon != 0 && colon + 1 < pattern.size() &&
        (star == std::string_view::npos || (star > colon && star == pattern.size() - 1));
    if (!good) {
      return InvalidArgument("option \"" + std::string(kExternalKeysOption) +
                             "\" is a list like \"default:app-*,backup:signing\": the name of an "
                             "HSM, a colon, and the label of a key or its beginning and a star");
    }
  }
  return Ok();
}

bool WidensExternalKeys(std::string_view before, std::string_view after) {
  const std::vector<std::string_view> allowed = Patterns(before);
  return std::ranges::any_of(Patterns(after), [&](std::string_view wanted) {
    return std::ranges::none_of(
        allowed, [&](std::string_view pattern) { return Covers(pattern, wanted); });
  });
}

Result<std::unique_lock<std::timed_mutex>> TakeMakingTurn(Environment& environment) {
  const std::shared_ptr<ResidentKeys> keys = KMS_TRY(KeysOf(environment));
  std::unique_lock turn(keys->making_mutex(), keys->TurnTimeout());
  if (!turn.owns_lock()) {
    return Unavailable("another key is being made in an HSM; retry in a few seconds");
  }
  return turn;
}

Result<ResidentDraft> MakeResidentVersion(Environment& environment, const KeyPolicy& policy,
                                          KeyVersionNumber number,
                                          const std::vector<std::string>& hsms) {
  const std::shared_ptr<ResidentKeys> keys = KMS_TRY(KeysOf(environment));
  // Those that would answer first.
  std::vector<std::string> order;
  std::ranges::copy_if(hsms, std::back_inserter(order),
                       [&](const std::string& hsm) { return keys->WouldTry(hsm); });
  std::ranges::copy_if(hsms, std::back_inserter(order),
                       [&](const std::string& hsm) { return !keys->WouldTry(hsm); });
  Error refusal = InvalidArgument("no HSM serves this environment");
  for (const std::string& hsm : order) {
    auto draft = MakeIn(environment, *keys, policy, number, hsm);
    if (draft.has_value() || !TriesAnother(draft.error().code)) {
      return draft;
    }
    refusal = std::move(draft).error();
  }
  return refusal;
}

Result<ResidentVersion> FindExternalKey(Environment& environment, std::string_view reference) {
  const Reference parsed = KMS_TRY(ParseReference(reference));
  KMS_TRY(CheckAllowed(environment, reference));
  const std::shared_ptr<ResidentKeys> keys = KMS_TRY(KeysOf(environment));
  auto record = keys->Find(parsed.hsm, parsed.key);
  if (!record.has_value()) {
    return FetchFailed(std::move(record).error());
  }
  return ResidentVersion{.hsm = parsed.hsm, .reference = parsed.key, .record = *std::move(record)};
}

Result<ResidentDraft> DraftExternalVersion(Environment& environment, const KeyPolicy& policy,
                                           KeyVersionNumber number, ResidentVersion found) {
  SealedMutation entry =
      KMS_TRY(ResidentEntry(environment, policy, number, found.hsm, ResidentStage::kExternal));
  return ResidentDraft{
      .version = KeyVersion::FromResident(number, environment.clock().Now(), std::move(found)),
      .entry = std::move(entry)};
}

}  // namespace kms
