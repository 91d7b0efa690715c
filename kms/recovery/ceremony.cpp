// SPDX-License-Identifier: Apache-2.0
#include "kms/recovery/ceremony.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "kms/crypto/shamir.h"
#include "kms/master/sealed_store.h"
#include "kms/recovery/recipients.h"

namespace kms {

namespace {

constexpr std::string_view kSplitRoot = "recovery/";
constexpr std::string_view kWrapRoot = "wrapped/";
constexpr std::size_t kPage = 1000;
constexpr std::size_t kIdText = 36;
constexpr std::size_t kSealedHead = 5;  // format and key version: kms/master/sealed_store.cpp

// Calls `use` with every path that starts with `prefix`.
template <typename Use>
Status ForEachPath(Store& store, std::string_view prefix, const Use& use) {
  std::string after;
  while (true) {
    const std::vector<ListedEntry> page = KMS_TRY(store.List(prefix, after, kPage));
    for (const ListedEntry& entry : page) {
      KMS_TRY(use(entry.path));
    }
    if (page.size() < kPage) {
      return Ok();
    }
    after = page.back().path;
  }
}

struct KeyAddress {
  Uuid environment_id;
  EnvironmentKeyVersion version = 0;
};

// "<root><environment id>/<version>", whatever follows after a '/'.
std::optional<KeyAddress> ParseAddress(std::string_view path, std::string_view root) {
  path.remove_prefix(std::min(root.size(), path.size()));
  const Result<Uuid> id = Uuid::Parse(path.substr(0, kIdText));
  if (!id.has_value() || path.size() <= kIdText || path[kIdText] != '/') {
    return std::nullopt;
  }
  path.remove_prefix(kIdText + 1);
  const std::string_view digits = path.substr(0, path.find('/'));
  KeyAddress address{.environment_id = *id, .version = 0};
  const char* const end = digits.data() + digits.size();
  const auto [parsed, code] = std::from_chars(digits.data(), end, address.version);
  return code == std::errc{} && parsed == end && address.version > 0 ? std::optional(address)
                                                                     : std::nullopt;
}

using EnvironmentsById = std::map<Uuid, RecoverableEnvironment>;

Status CollectVersions(Store& store, EnvironmentsById& environments) {
  return ForEachPath(store, kWrapRoot, [&](const std::string& path) -> Status {
    const std::optional<KeyAddress> address = ParseAddress(path, kWrapRoot);
    if (address) {
      RecoverableEnvironment& environment = environments[address->environment_id];
      environment.id = address->environment_id;
      if (std::ranges::find(environment.versions, address->version) == environment.versions.end()) {
        environment.versions.push_back(address->version);
      }
    }
    return Ok();
  });
}

Status CollectSplits(Store& store, EnvironmentsById& environments) {
  return ForEachPath(store, kSplitRoot, [&](const std::string& path) -> Status {
    const std::optional<KeyAddress> address = ParseAddress(path, kSplitRoot);
    if (!address) {
      return Ok();
    }
    const std::optional<StoredValue> stored = KMS_TRY(store.Get(path));
    Result<SplitKey> split = SplitKey::Decode(stored ? ByteView(stored->value) : ByteView());
    if (split.has_value() && split->environment_id == address->environment_id &&
        split->version == address->version) {
      RecoverableEnvironment& environment = environments[address->environment_id];
      environment.id = address->environment_id;
      environment.name = split->environment;
      environment.splits.push_back(*std::move(split));
    }
    return Ok();
  });
}

const SplitKey* FindSplit(const std::vector<SplitKey>& splits, const Uuid& id,
                          EnvironmentKeyVersion version) {
  for (const SplitKey& split : splits) {
    if (split.environment_id == id && split.version == version) {
      return &split;
    }
  }
  return nullptr;
}

// ---- combining ----------------------------------------------------------------------------------

std::string Joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

// The good shares of one split, and who gave them.
struct Collected {
  std::vector<SecretShare> shares;
  std::set<std::string> given;
  std::set<std::string> wrong;
};

Status CollectShare(const SplitKey& split, const AnsweredShare& answered, const Uuid& ceremony,
                    const HolderPrivateKey& ceremony_key, Collected& collected) {
  const EncryptedShare* share = split.Find(answered.number);
  const bool known = std::ranges::find(collected.shares, answered.number, &SecretShare::number) !=
                     collected.shares.end();
  if (share == nullptr || known) {  // the same answer twice is no mistake
    return Ok();
  }
  Result<SecretBytes> value = ceremony_key.Open(
      answered.encrypted, AnswerContext(ceremony, split, share->number, share->holder));
  if (!value.has_value() && value.error().code != ErrorCode::kDecryptionFailed) {
    return value.error();
  }
  if (value.has_value()) {
    const Bytes check = KMS_TRY(ShareCheck(split, share->number, *value));
    if (EqualInConstantTime(check, share->check)) {
      collected.given.insert(share->holder);
      collected.shares.push_back({.number = share->number, .value = *std::move(value)});
      return Ok();
    }
  }
  collected.wrong.insert(share->holder);
  return Ok();
}

Result<Collected> CollectShares(const SplitKey& split, const Uuid& ceremony,
                                const HolderPrivateKey& ceremony_key,
                                const std::vector<RecoveryAnswer>& answers) {
  Collected collected;
  for (const RecoveryAnswer& answer : answers) {
    for (const AnsweredShare& share : answer.shares) {
      if (share.environment_id == split.environment_id && share.version == split.version &&
          share.split_id == split.split_id) {
        KMS_TRY(CollectShare(split, share, ceremony, ceremony_key, collected));
      }
    }
  }
  for (const std::string& name : collected.given) {  // a good share outweighs a bad one
    collected.wrong.erase(name);
  }
  return collected;
}

std::string TooFew(const SplitKey& split, const Collected& collected) {
  std::set<std::string> missing;
  for (const EncryptedShare& share : split.shares) {
    if (!collected.given.contains(share.holder) && !collected.wrong.contains(share.holder)) {
      missing.insert(share.holder);
    }
  }
  std::string text = "key version " + std::to_string(split.version) + " needs " +
                     std::to_string(split.threshold) + " of " +
                     std::to_string(split.shares.size()) + " holders, " +
                     std::to_string(collected.shares.size()) + " gave a good share";
  text += collected.given.empty() ? "" : " (" + Joined(collected.given) + ")";
  text += collected.wrong.empty() ? "" : "; wrong: " + Joined(collected.wrong);
  text += missing.empty() ? "" : "; still to be asked: " + Joined(missing);
  return text;
}

// Adds the key of one version, or says why not.
Status OpenVersion(const SplitKey& split, Collected collected, OpenedEnvironment& out) {
  out.wrong.insert(out.wrong.end(), collected.wrong.begin(), collected.wrong.end());
  if (collected.shares.size() < split.threshold) {
    out.refusal = TooFew(split, collected);
    return Ok();
  }
  collected.shares.resize(split.threshold);
  SecretBytes key = KMS_TRY(CombineShares(collected.shares));
  const Bytes check = KMS_TRY(SplitKeyCheck(split, key));
  if (!EqualInConstantTime(check, split.check)) {
    out.refusal = "key version " + std::to_string(split.version) +
                  ": the shares are those of the record, but the record is damaged";
    return Ok();
  }
  out.keys.insert_or_assign(split.version, std::move(key));
  out.holders.insert(collected.given.begin(), collected.given.end());
  return Ok();
}

Status CheckCeremony(const RecoveryPackage& package, const HolderPrivateKey& ceremony_key,
                     const std::vector<RecoveryAnswer>& answers) {
  if (ceremony_key.public_key() != package.public_key) {
    return InvalidArgument("the private key is not the one of this package");
  }
  for (const RecoveryAnswer& answer : answers) {
    if (answer.ceremony != package.ceremony) {
      return InvalidArgument("an answer belongs to another ceremony (" +
                             answer.ceremony.ToString() + "), this one is " +
                             package.ceremony.ToString());
    }
  }
  return Ok();
}

Result<OpenedEnvironment> OpenOne(const RecoverableEnvironment& environment,
                                  const RecoveryPackage& package,
                                  const HolderPrivateKey& ceremony_key,
                                  const std::vector<RecoveryAnswer>& answers) {
  OpenedEnvironment opened;
  opened.id = environment.id;
  opened.name = environment.name;
  if (environment.splits.empty()) {
    opened.refusal = "it has no recovery holders";
  } else if (!environment.not_split.empty()) {
    opened.refusal = "key version " + std::to_string(environment.not_split.front()) +
                     " was never split among holders";
  }
  for (const SplitKey& split : environment.splits) {
    if (!opened.refusal.empty()) {
      break;
    }
    const SplitKey* packed = FindSplit(package.keys, split.environment_id, split.version);
    if (packed == nullptr || !(*packed == split)) {
      opened.refusal = "key version " + std::to_string(split.version) +
                       " was split anew after the package was made: begin again";
      break;
    }
    Collected collected = KMS_TRY(CollectShares(split, package.ceremony, ceremony_key, answers));
    KMS_TRY(OpenVersion(split, std::move(collected), opened));
  }
  if (!opened.refusal.empty()) {
    opened.keys.clear();
  }
  return opened;
}

// ---- proof --------------------------------------------------------------------------------------

std::optional<EnvironmentKeyVersion> VersionOfEntry(ByteView sealed) {
  if (sealed.size() < kSealedHead) {
    return std::nullopt;
  }
  EnvironmentKeyVersion version = 0;
  for (const std::uint8_t byte : sealed.subspan(1, kSealedHead - 1)) {
    version = version << 8U | byte;
  }
  return version;
}

}  // namespace

Result<std::vector<RecoverableEnvironment>> ListRecoverable(Store& store) {
  EnvironmentsById by_id;
  KMS_TRY(CollectVersions(store, by_id));
  KMS_TRY(CollectSplits(store, by_id));
  std::vector<RecoverableEnvironment> environments;
  for (auto& [id, environment] : by_id) {
    for (const EnvironmentKeyVersion version : environment.versions) {
      if (FindSplit(environment.splits, id, version) == nullptr) {
        environment.not_split.push_back(version);
      }
    }
    environments.push_back(std::move(environment));
  }
  return environments;
}

RecoveryPackage MakePackage(const std::vector<RecoverableEnvironment>& environments,
                            const HolderPrivateKey& ceremony_key, std::int64_t now_unix_seconds) {
  RecoveryPackage package;
  package.ceremony = Uuid::Random();
  package.created_unix_seconds = now_unix_seconds;
  package.public_key = ceremony_key.public_key();
  for (const RecoverableEnvironment& environment : environments) {
    if (environment.recoverable()) {
      package.keys.insert(package.keys.end(), environment.splits.begin(), environment.splits.end());
    }
  }
  return package;
}

Result<std::vector<OpenedEnvironment>> OpenAnswers(
    const std::vector<RecoverableEnvironment>& environments, const RecoveryPackage& package,
    const HolderPrivateKey& ceremony_key, const std::vector<RecoveryAnswer>& answers) {
  KMS_TRY(CheckCeremony(package, ceremony_key, answers));
  std::vector<OpenedEnvironment> opened;
  for (const RecoverableEnvironment& environment : environments) {
    OpenedEnvironment one = KMS_TRY(OpenOne(environment, package, ceremony_key, answers));
    opened.push_back(std::move(one));
  }
  return opened;
}

Result<KeyProof> ProveKeys(Store& store, const OpenedEnvironment& environment, std::size_t sample) {
  std::map<EnvironmentKeyVersion, SecretBytes> keys;
  for (const auto& [version, key] : environment.keys) {
    keys.insert_or_assign(version, KMS_TRY(key.Clone()));
  }
  EnvironmentKeyring keyring;
  KMS_TRY(keyring.Replace(std::move(keys)));
  SealedStore sealed(store, keyring, environment.id);
  KeyProof proof;
  std::set<EnvironmentKeyVersion> proven;
  std::set<EnvironmentKeyVersion> tried;
  const auto prove = [&](const std::string& path) -> Status {
    const std::optional<StoredValue> stored = KMS_TRY(store.Get(path));
    const auto version = VersionOfEntry(stored ? ByteView(stored->value) : ByteView());
    if (version && !environment.keys.contains(*version)) {
      return FailedPrecondition("environment " + environment.name +
                                " has entries under key version " + std::to_string(*version) +
                                ", which the holders did not open: begin again");
    }
    if (!version || (proof.opened >= sample && proven.contains(*version))) {
      return Ok();
    }
    tried.insert(*version);
    const auto entry = sealed.Get(std::string_view(path).substr(sealed.prefix().size()));
    if (entry.has_value()) {
      ++proof.opened;
      proven.insert(*version);
      return Ok();
    }
    ++proof.damaged;
    return entry.error().code == ErrorCode::kCorrupted ? Ok() : Status(entry.error());
  };
  KMS_TRY(ForEachPath(store, sealed.prefix(), prove));
  if (proven != tried) {
    return Corrupted("the recovered keys open no entry of environment " + environment.name +
                     ": the store or its recovery records are not what they were");
  }
  for (const auto& [version, key] : environment.keys) {
    if (!proven.contains(version)) {
      proof.unproven.insert(version);
    }
  }
  return proof;
}

Status DropUnproven(const KeyProof& proof, OpenedEnvironment& environment) {
  for (const EnvironmentKeyVersion version : proof.unproven) {
    environment.keys.erase(version);
  }
  if (environment.keys.empty()) {
    return FailedPrecondition("nothing is stored in environment " + environment.name +
                              " that would prove its recovered key: anybody who can write to the "
                              "store could have put that key there. Nothing is lost either: "
                              "delete the environment later and create it anew");
  }
  return Ok();
}

}  // namespace kms
