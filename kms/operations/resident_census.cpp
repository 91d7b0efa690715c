// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/resident_census.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <set>
#include <utility>

#include "kms/base/digest.h"
#include "kms/base/record_codec.h"
#include "kms/operations/key_storage.h"
#include "kms/operations/resident_keys.h"
#include "kms/store/list_all.h"

namespace kms {

namespace {

constexpr char kKind = 'R';
constexpr std::uint8_t kFormat = 1;

// Far longer than any token takes to make a key.
constexpr std::chrono::minutes kMakingTime{15};

struct Entry {
  ResidentStage stage = ResidentStage::kMaking;
  std::int64_t since_unix_seconds = 0;
  std::string name;
};

Error Damaged(std::string detail) { return Corrupted("damaged entry", std::move(detail)); }

Result<Entry> Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, "entry of a key in an HSM"));
  Entry entry;
  const auto stage = reader.Get<std::uint8_t>();
  entry.stage = static_cast<ResidentStage>(stage);
  entry.since_unix_seconds = reader.Get<std::int64_t>();
  entry.name = reader.GetText();
  const bool known = stage >= static_cast<std::uint8_t>(ResidentStage::kMaking) &&
                     stage <= static_cast<std::uint8_t>(ResidentStage::kDoomed);
  if (!reader.Finished() || !known) {
    return Damaged("an entry of a key in an HSM");
  }
  return entry;
}

// What a path says.
struct Place {
  std::string path;
  Uuid incarnation;
  KeyVersionNumber version = 0;
  std::string hsm;
};

Result<Place> ParsePath(const std::string& path) {
  std::string_view rest = std::string_view(path).substr(kResidentPrefix.size());
  const std::size_t first = rest.find('/');
  const std::size_t second = first == std::string_view::npos ? first : rest.find('/', first + 1);
  if (second == std::string_view::npos) {
    return Damaged(path);
  }
  const std::string_view digits = rest.substr(first + 1, second - first - 1);
  Place place{.path = path, .incarnation = {}, .version = 0, .hsm = {}};
  const auto [end, code] =
      std::from_chars(digits.data(), digits.data() + digits.size(), place.version);
  if (code != std::errc{} || end != digits.data() + digits.size()) {
    return Damaged(path);
  }
  place.incarnation = KMS_TRY(Uuid::Parse(rest.substr(0, first)));
  place.hsm = rest.substr(second + 1);
  return place;
}

Result<std::vector<Place>> ListPlaces(Environment& environment, const std::string& prefix) {
  std::vector<Place> places;
  for (const ListedEntry& entry : KMS_TRY(ListAll(environment.store(), prefix))) {
    places.push_back(KMS_TRY(ParsePath(entry.path)));
  }
  return places;
}

// The same of an environment whose entries need not open.
Result<std::vector<Place>> ListSealedPlaces(Store& store, const Uuid& environment_id) {
  const std::string root = "e/" + environment_id.ToString() + "/";
  std::vector<Place> places;
  for (const ListedEntry& entry : KMS_TRY(ListAll(store, root + std::string(kResidentPrefix)))) {
    places.push_back(KMS_TRY(ParsePath(entry.path.substr(root.size()))));
  }
  return places;
}

// Whether the store has the version: its archived entry, or a key that says so.
Result<bool> IsStored(Environment& environment, const Place& place, const std::string& name) {
  const std::vector<ListedEntry> archived =
      KMS_TRY(environment.store().List(ArchivePath(place.incarnation, place.version), {}, 1));
  if (!archived.empty()) {
    return true;
  }
  const std::optional<StoredKey> key = KMS_TRY(ReadKey(environment, name));
  return key && key->key.policy().incarnation == place.incarnation &&
         place.version >= key->key.policy().min_available_version &&
         place.version <= key->key.policy().latest_version;
}

Result<std::shared_ptr<ResidentKeys>> KeysOf(const Environment& environment) {
  std::shared_ptr<ResidentKeys> keys = environment.resident_keys();
  if (keys == nullptr) {
    return Unavailable("no HSM is connected to this environment");
  }
  return keys;
}

// The object first: what a crash leaves is an entry, never an object.
Status DestroyAndForget(Environment& environment, const Place& place, const OpenedEntry& seen) {
  const std::shared_ptr<ResidentKeys> keys = KMS_TRY(KeysOf(environment));
  const EnvironmentIdentity& identity = environment.identity();
  KMS_TRY(keys->Destroy(place.hsm, ResidentKeyId(identity.id, place.incarnation, place.version),
                        ResidentLabelPrefix(identity.name)));
  std::vector<SealedMutation> mutations;
  mutations.push_back(
      {.path = place.path, .value = std::nullopt, .expected_revision = seen.revision});
  KMS_TRY(environment.store().Commit(std::move(mutations)));
  return Ok();
}

enum class Spare : std::uint8_t { kWhatIsBeingMade, kNothing };

Status SweepOne(Environment& environment, const Place& place, Spare spare) {
  const std::optional<OpenedEntry> seen = KMS_TRY(environment.store().Get(place.path));
  if (!seen) {
    return Ok();
  }
  const Entry entry = KMS_TRY(Decode(seen->value.View()));
  if (entry.stage == ResidentStage::kDoomed) {
    return DestroyAndForget(environment, place, *seen);
  }
  const std::int64_t age = ToUnixSeconds(environment.clock().Now()) - entry.since_unix_seconds;
  const bool spared =
      spare == Spare::kWhatIsBeingMade && age < std::chrono::seconds(kMakingTime).count();
  if (entry.stage != ResidentStage::kMaking || spared) {
    return Ok();
  }
  const bool stored = KMS_TRY(IsStored(environment, place, entry.name));
  return stored ? Ok() : DestroyAndForget(environment, place, *seen);
}

Status SweepPrefix(Environment& environment, const std::string& prefix) {
  Status outcome = Ok();
  const std::vector<Place> places = KMS_TRY(ListPlaces(environment, prefix));
  for (const Place& place : places) {
    Status swept = SweepOne(environment, place, Spare::kWhatIsBeingMade);
    if (outcome.has_value()) {
      outcome = std::move(swept);
    }
  }
  return outcome;
}

Error KeysLiveIn(std::string_view hsm, const ResidentCensus& census) {
  constexpr std::size_t kShownNames = 5;
  std::string names;
  for (std::size_t index = 0; index < census.names.size() && index < kShownNames; ++index) {
    names += (names.empty() ? ": " : ", ") + census.names[index];
  }
  names += census.names.size() > kShownNames ? ", …" : "";
  return FailedPrecondition(std::to_string(census.versions) + " key versions live in HSM " +
                            std::string(hsm) + " and cannot leave it" + names +
                            "; delete these keys first");
}

}  // namespace

Uuid ResidentKeyId(const Uuid& environment_id, const Uuid& incarnation, KeyVersionNumber version) {
  RecordWriter input;
  input.PutText("kms resident key v1");
  input.PutSized(environment_id.View());
  input.PutSized(incarnation.View());
  input.Put(version);
  Sha256Digest digest = Sha256(input.Take());
  digest[6] = static_cast<std::uint8_t>((digest[6] & 0x0fU) | 0x80U);
  digest[8] = static_cast<std::uint8_t>((digest[8] & 0x3fU) | 0x80U);
  return Uuid::FromBytes(ByteView(digest).first(Uuid::kBytes)).value_or(Uuid());
}

std::string ResidentPath(const Uuid& incarnation, KeyVersionNumber version, std::string_view hsm) {
  char digits[16];
  std::snprintf(digits, sizeof digits, "%010u", version);
  return std::string(kResidentPrefix) + incarnation.ToString() + "/" + digits + "/" +
         std::string(hsm);
}

Result<SealedMutation> ResidentEntry(const Environment& environment, const KeyPolicy& policy,
                                     KeyVersionNumber version, std::string_view hsm,
                                     ResidentStage stage) {
  RecordWriter writer(kKind, kFormat);
  writer.Put(static_cast<std::uint8_t>(stage));
  writer.Put(ToUnixSeconds(environment.clock().Now()));
  writer.PutText(policy.name);
  return SealedMutation{.path = ResidentPath(policy.incarnation, version, hsm),
                        .value = KMS_TRY(SecretBytes::CopyOf(writer.Take())),
                        .expected_revision = std::nullopt};
}

Result<ResidentCensus> CountResidentKeys(Store& store, Environment& environment,
                                         std::string_view hsm) {
  ResidentCensus census;
  std::set<std::string> names;
  const std::vector<Place> places = KMS_TRY(ListSealedPlaces(store, environment.identity().id));
  for (const Place& place : places) {
    if (!hsm.empty() && place.hsm != hsm) {
      continue;
    }
    ++census.versions;
    if (environment.sealed()) {
      continue;
    }
    const std::optional<OpenedEntry> seen = KMS_TRY(environment.store().Get(place.path));
    if (seen) {
      names.insert(KMS_TRY(Decode(seen->value.View())).name);
    }
  }
  census.names.assign(names.begin(), names.end());
  return census;
}

Result<std::vector<SealedMutation>> ForgetResidentKeysIn(Environment& environment,
                                                         std::string_view hsm) {
  std::vector<SealedMutation> forgotten;
  ResidentCensus living;
  std::set<std::string> names;
  const std::vector<Place> places = KMS_TRY(ListPlaces(environment, std::string(kResidentPrefix)));
  for (const Place& place : places) {
    const std::optional<OpenedEntry> seen =
        place.hsm == hsm ? KMS_TRY(environment.store().Get(place.path)) : std::nullopt;
    if (!seen) {
      continue;
    }
    const Entry entry = KMS_TRY(Decode(seen->value.View()));
    const bool lives = entry.stage != ResidentStage::kDoomed &&
                       (entry.stage != ResidentStage::kMaking ||
                        KMS_TRY(IsStored(environment, place, entry.name)));
    if (lives) {
      ++living.versions;
      names.insert(entry.name);
      continue;
    }
    forgotten.push_back(
        {.path = place.path, .value = std::nullopt, .expected_revision = seen->revision});
  }
  if (living.versions == 0) {
    return forgotten;
  }
  living.names.assign(names.begin(), names.end());
  return KeysLiveIn(hsm, living);
}

Result<std::uint64_t> ForgetDeletedResidentKeysIn(Store& store, const Uuid& environment_id,
                                                  std::string_view hsm) {
  std::vector<Mutation> mutations;
  const std::vector<Place> places = KMS_TRY(ListSealedPlaces(store, environment_id));
  for (const Place& place : places) {
    if (place.hsm == hsm) {
      mutations.push_back({.path = "e/" + environment_id.ToString() + "/" + place.path,
                           .value = std::nullopt,
                           .expected_revision = std::nullopt});
    }
  }
  if (!mutations.empty()) {
    KMS_TRY(store.Commit(mutations));
  }
  return mutations.size();
}

Status CheckNoKeysLiveIn(Store& store, Environment& environment, std::string_view hsm) {
  const ResidentCensus census = KMS_TRY(CountResidentKeys(store, environment, hsm));
  return census.versions == 0 ? Ok() : Status(KeysLiveIn(hsm, census));
}

Result<std::vector<SealedMutation>> DoomResidentVersions(Environment& environment,
                                                         const KeyPolicy& policy,
                                                         KeyVersionNumber keep_from) {
  std::vector<SealedMutation> mutations;
  if (!policy.is_resident()) {
    return mutations;
  }
  const std::vector<Place> places = KMS_TRY(
      ListPlaces(environment, std::string(kResidentPrefix) + policy.incarnation.ToString() + "/"));
  for (const Place& place : places) {
    if (place.version >= keep_from) {
      continue;
    }
    mutations.push_back(KMS_TRY(
        ResidentEntry(environment, policy, place.version, place.hsm, ResidentStage::kDoomed)));
    if (policy.protection == KeyProtection::kExternal) {
      mutations.back().value.reset();  // nothing of ours is in the token
    }
  }
  return mutations;
}

Status SweepResidentKeys(Environment& environment) {
  return SweepPrefix(environment, std::string(kResidentPrefix));
}

Status SweepResidentKeys(Environment& environment, const Uuid& incarnation) {
  return SweepPrefix(environment, std::string(kResidentPrefix) + incarnation.ToString() + "/");
}

Status DiscardResidentKey(Environment& environment, const Uuid& incarnation,
                          KeyVersionNumber version, std::string_view hsm) {
  const Place place{.path = ResidentPath(incarnation, version, hsm),
                    .incarnation = incarnation,
                    .version = version,
                    .hsm = std::string(hsm)};
  return SweepOne(environment, place, Spare::kNothing);
}

Status DestroyEveryResidentKey(Store& store, HsmRegistry& hsms, const Clock& clock,
                               const EnvironmentIdentity& environment) {
  const ResidentKeys keys(hsms, clock);
  const std::vector<Place> places = KMS_TRY(ListSealedPlaces(store, environment.id));
  for (const Place& place : places) {
    // No external key has such an id.
    KMS_TRY(keys.Destroy(place.hsm,
                         ResidentKeyId(environment.id, place.incarnation, place.version),
                         ResidentLabelPrefix(environment.name)));
  }
  return Ok();
}

std::string ResidentLabelPrefix(std::string_view environment) {
  return ("kms/" + std::string(environment) + "/keys/").substr(0, kMaxResidentLabelBytes);
}

}  // namespace kms
