// SPDX-License-Identifier: Apache-2.0
// KeyGroup: the HSM tokens that open one environment, and where its master keys and wraps are
// stored. Outside any sealed store, since they are what opens one:
//
//   group/<environment id>                                        KeyGroup
//   master/<environment id>/<hsm>/<master version>                MasterKeyRecord
//   wrapped/<environment id>/<key version>/<hsm>/<master version> WrappedKey
//
// Versions have 10 digits. Earlier releases had one token, master/<environment id> and
// wrapped/<environment id>/<key version>: those are read as the token "default" at version 1 and
// moved by one commit when the environment is opened.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/master/environment_key.h"
#include "kms/master/wrapped_key.h"
#include "kms/store/store.h"

namespace kms {

using MasterKeyVersion = std::uint32_t;

// The token of the section "hsm" of the configuration.
inline constexpr std::string_view kDefaultHsm = "default";

inline constexpr std::uint32_t kMaxMemberWeight = 1000;

struct GroupMember {
  std::string hsm;           // its name in the HsmRegistry
  std::uint32_t order = 0;   // lower ones are asked first
  std::uint32_t weight = 1;  // among those of one order: how often, 1..1000
  friend bool operator==(const GroupMember&, const GroupMember&) = default;
};

// What an environment key is recognised by, whichever token opened it: two that disagree are told
// apart by it (H15), even before anything is unsealed.
using KeyCheck = std::array<std::uint8_t, 16>;

// The first 16 bytes of HKDF-SHA-256(key, salt = environment id, "kms environment key check v1").
Result<KeyCheck> CheckOf(const Uuid& environment_id, const SecretBytes& key);

struct KeyGroup {
  std::vector<GroupMember> members;     // sorted by name, never empty
  MasterKeyVersion current_master = 1;  // what new wraps are made under
  // Of every key version; those of earlier releases are added when the key is opened.
  std::map<EnvironmentKeyVersion, KeyCheck> key_checks;
  // How often a token of that name was declared lost: its successors have master keys of their own.
  std::map<std::string, std::uint32_t, std::less<>> losses;

  [[nodiscard]] std::uint32_t LossesOf(std::string_view hsm) const;

  [[nodiscard]] const GroupMember* Find(std::string_view hsm) const;
  [[nodiscard]] Bytes Encode() const;
  // Errors: kCorrupted for anything Encode did not make; an unknown format names itself.
  static Result<KeyGroup> Decode(ByteView encoded);
  friend bool operator==(const KeyGroup&, const KeyGroup&) = default;
};

// What one token has of an environment.
struct MemberMaterial {
  std::map<MasterKeyVersion, MasterKeyRecord> masters;
  std::map<EnvironmentKeyVersion, std::map<MasterKeyVersion, WrappedKey>> wraps;

  // The wrap under the highest master version that opens `version`; nullptr when there is none.
  [[nodiscard]] const WrappedKey* FindWrap(EnvironmentKeyVersion version) const;
  // The wrap under one master version; nullptr when there is none.
  [[nodiscard]] const WrappedKey* FindWrap(EnvironmentKeyVersion version,
                                           MasterKeyVersion master) const;
  // The master key of FindWrap(version); nullptr when there is none.
  [[nodiscard]] const MasterKeyRecord* FindMaster(EnvironmentKeyVersion version) const;
};

// Everything that is stored of an environment's keys.
struct GroupMaterial {
  KeyGroup group;
  Revision group_revision = 0;
  std::map<std::string, MemberMaterial, std::less<>> members;  // also of tokens that left
  // Paths of records that cannot be read; what they say is missing above. They are never replaced.
  std::vector<std::string> damaged;
  // Key versions that were forgotten although wraps of them are stored: nothing above is of them.
  std::vector<EnvironmentKeyVersion> refused;

  [[nodiscard]] const MemberMaterial* Find(std::string_view hsm) const;
  [[nodiscard]] bool IsDamaged(std::string_view path) const;
  // Every version that some member holds a wrap of, ascending; never empty when read.
  [[nodiscard]] std::vector<EnvironmentKeyVersion> Versions() const;
};

std::string GroupPath(const Uuid& environment_id);
std::string MasterPrefix(const Uuid& environment_id);
std::string MasterPath(const Uuid& environment_id, std::string_view hsm, MasterKeyVersion version);
std::string WrappedPrefix(const Uuid& environment_id);
std::string WrappedPath(const Uuid& environment_id, EnvironmentKeyVersion version,
                        std::string_view hsm, MasterKeyVersion master);

// CKA_ID of a master key that is not the first of its environment: the same whenever it is asked
// for, so that a key made just before a crash is found again and no second one is made (H25).
// The first 16 bytes of SHA-256 over "kms master key v1", environment, hsm and version, each with
// its length, marked as a version 8 UUID (RFC 9562 section 5.8). After losses of tokens of that
// name their number is part of it too: what a lost one holds is never adopted when it turns up.
Uuid DeriveMasterKeyId(const Uuid& environment_id, std::string_view hsm, MasterKeyVersion version,
                       std::uint32_t losses = 0);

// Reads all of it, moving the form of earlier releases first. Errors: kCorrupted when the group or
// every wrap of some version is missing or damaged, naming it; store errors.
Result<GroupMaterial> ReadGroupMaterial(Store& store, const Uuid& environment_id);

// The master keys recorded by token and version, of an environment whose wraps may be gone already.
// Errors: kCorrupted, store errors.
using RecordedMasters = std::map<std::string, std::map<MasterKeyVersion, MasterKeyRecord>>;
Result<RecordedMasters> ReadMasterKeys(Store& store, const Uuid& environment_id);

// Names of tokens: [a-z0-9][a-z0-9-]{0,31}.
bool IsHsmName(std::string_view name);

}  // namespace kms
