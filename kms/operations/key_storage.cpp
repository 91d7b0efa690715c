// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/key_storage.h"

#include <array>
#include <cstdio>
#include <utility>

namespace kms {

namespace {

constexpr std::string_view kGarbagePrefix = "garbage/";

// Archived versions erased by one commit. A key rotated hourly takes five weeks to reach it.
constexpr std::size_t kErasuresPerCommit = 1000;

std::string ArchivePrefix(std::string_view incarnation) {
  return "archive/" + std::string(incarnation) + "/";
}

Error Damaged(std::string detail) { return Corrupted("damaged entry", std::move(detail)); }

// A mark's content: the first version to keep, 4 bytes big-endian, or nothing to keep.
Result<SecretBytes> EncodeMark(KeyVersionNumber keep_from) {
  const std::array<std::uint8_t, 4> bytes{
      static_cast<std::uint8_t>(keep_from >> 24U), static_cast<std::uint8_t>(keep_from >> 16U),
      static_cast<std::uint8_t>(keep_from >> 8U), static_cast<std::uint8_t>(keep_from)};
  return SecretBytes::CopyOf(bytes);
}

Result<KeyVersionNumber> DecodeMark(ByteView bytes) {
  if (bytes.size() != 4) {
    return Damaged("garbage mark");
  }
  KeyVersionNumber keep_from = 0;
  for (const std::uint8_t byte : bytes) {
    keep_from = keep_from << 8U | byte;
  }
  return keep_from;
}

SealedMutation Deletion(std::string path, std::optional<Revision> expected = std::nullopt) {
  return {.path = std::move(path), .value = std::nullopt, .expected_revision = expected};
}

struct Doomed {
  std::vector<SealedMutation> deletions;
  bool all = false;  // nothing else is to be erased
};

// The first archived versions below `keep_from`, at most kErasuresPerCommit.
Result<Doomed> FindDoomed(Environment& environment, std::string_view incarnation,
                          KeyVersionNumber keep_from) {
  const std::string prefix = ArchivePrefix(incarnation);
  const std::vector<ListedEntry> listed =
      KMS_TRY(environment.store().List(prefix, {}, kErasuresPerCommit + 1));
  Doomed doomed{.deletions = {}, .all = true};
  for (const ListedEntry& entry : listed) {
    char end[16];
    std::snprintf(end, sizeof end, "%010u", keep_from);
    if (std::string_view(entry.path).substr(prefix.size()) >= end) {
      return doomed;
    }
    if (doomed.deletions.size() == kErasuresPerCommit) {
      doomed.all = false;
      return doomed;
    }
    doomed.deletions.push_back(Deletion(entry.path));
  }
  return doomed;
}

// Answers what became of a commit that may or may not have happened.
Result<Revision> Settle(Environment& environment, const std::string& name,
                        const SecretBytes& wanted, Revision expected, const Error& unknown) {
  const auto reread = environment.store().Get(KeyPath(name));
  if (!reread.has_value()) {
    return unknown;
  }
  const std::optional<OpenedEntry>& entry = *reread;
  if ((entry ? entry->revision : 0) == expected) {
    return Unavailable("storage failed, nothing was changed", unknown.detail);
  }
  if (entry && entry->value == wanted) {
    return entry->revision;
  }
  return Conflict("the key was changed by someone else");
}

}  // namespace

std::string KeyPath(std::string_view name) {
  return std::string(kKeysPrefix) + std::string(name);
}

std::string ArchivePath(const Uuid& incarnation, KeyVersionNumber version) {
  char digits[16];
  std::snprintf(digits, sizeof digits, "%010u", version);
  return ArchivePrefix(incarnation.ToString()) + digits;
}

Result<std::optional<StoredKey>> ReadKey(Environment& environment, std::string_view name) {
  const std::optional<OpenedEntry> entry = KMS_TRY(environment.store().Get(KeyPath(name)));
  if (!entry) {
    return std::optional<StoredKey>{};
  }
  Key key = KMS_TRY(Key::Decode(entry->value.View()));
  if (key.policy().name != name) {
    return Damaged("the entry of one key holds another");
  }
  return std::optional<StoredKey>{{.key = std::move(key), .revision = entry->revision}};
}

Result<std::optional<LoadedKey>> LoadKey(Environment& environment, std::string_view name) {
  std::optional<StoredKey> stored = KMS_TRY(ReadKey(environment, name));
  if (!stored) {
    return std::optional<LoadedKey>{};
  }
  return std::optional<LoadedKey>{
      {.key = environment.Share(std::move(stored->key)), .revision = stored->revision}};
}

Result<KeyHandle> StoreKey(Environment& environment, Key next, Revision expected,
                           std::vector<SealedMutation> more) {
  const std::string name = next.policy().name;
  const SecretBytes wanted = KMS_TRY(next.Encode());
  more.push_back({.path = KeyPath(name),
                  .value = KMS_TRY(wanted.Clone()),
                  .expected_revision = expected});
  Result<Revision> committed = environment.store().Commit(std::move(more));
  if (!committed.has_value()) {
    environment.ForgetKey(name);
    if (committed.error().code != ErrorCode::kOutcomeUnknown) {
      return std::move(committed).error();
    }
    committed = KMS_TRY(Settle(environment, name, wanted, expected, committed.error()));
  }
  KeyHandle handle = environment.Share(std::move(next));
  environment.PublishKey(handle, *committed);
  return handle;
}

Result<SealedMutation> ArchiveVersion(const Uuid& incarnation, const KeyVersion& version) {
  return SealedMutation{.path = ArchivePath(incarnation, version.number),
                        .value = KMS_TRY(EncodeArchivedVersion(version)),
                        .expected_revision = 0};
}

Result<std::vector<KeyVersion>> ReadArchive(Environment& environment, const Uuid& incarnation,
                                            KeyVersionNumber first, KeyVersionNumber last) {
  std::vector<KeyVersion> versions;
  for (KeyVersionNumber number = first; number <= last; ++number) {
    const auto entry = KMS_TRY(environment.store().Get(ArchivePath(incarnation, number)));
    if (!entry) {
      return Damaged("archived version " + std::to_string(number) + " is missing");
    }
    KeyVersion version = KMS_TRY(DecodeArchivedVersion(entry->value.View()));
    if (version.number != number) {
      return Damaged("archived version " + std::to_string(number) + " is another");
    }
    versions.push_back(std::move(version));
  }
  return versions;
}

Result<ArchiveErasure> EraseArchive(Environment& environment, const Uuid& incarnation,
                                    KeyVersionNumber keep_from) {
  const std::string name = incarnation.ToString();
  Doomed doomed = KMS_TRY(FindDoomed(environment, name, keep_from));
  ArchiveErasure erasure{.mutations = std::move(doomed.deletions), .complete = doomed.all};
  if (!erasure.complete) {
    erasure.mutations.push_back({.path = std::string(kGarbagePrefix) + name,
                                 .value = KMS_TRY(EncodeMark(keep_from)),
                                 .expected_revision = std::nullopt});
  }
  return erasure;
}

namespace {

Status SweepMark(Environment& environment, const std::string& path) {
  const std::string_view incarnation = std::string_view(path).substr(kGarbagePrefix.size());
  while (true) {
    const std::optional<OpenedEntry> mark = KMS_TRY(environment.store().Get(path));
    if (!mark) {
      return Ok();
    }
    const KeyVersionNumber keep_from = KMS_TRY(DecodeMark(mark->value.View()));
    Doomed doomed = KMS_TRY(FindDoomed(environment, incarnation, keep_from));
    if (doomed.all) {
      // Expecting the revision keeps a mark that was raised meanwhile.
      doomed.deletions.push_back(Deletion(path, mark->revision));
    }
    KMS_TRY(environment.store().Commit(std::move(doomed.deletions)));
  }
}

}  // namespace

Status SweepGarbage(Environment& environment) {
  const std::vector<ListedEntry> marks =
      KMS_TRY(environment.store().List(kGarbagePrefix, {}, kErasuresPerCommit));
  for (const ListedEntry& mark : marks) {
    KMS_TRY(SweepMark(environment, mark.path));
  }
  return Ok();
}

}  // namespace kms
