// SPDX-License-Identifier: Apache-2.0
// The record at "token-roles/<name>", format 1 (text = length(4) | bytes; list = count(4) | texts):
//
//   'O' | 1 | orphan(1) | renewable(1) | path suffix | allowed policies | disallowed policies
//   | allowed globs | disallowed globs | token parameters (token_parameters_codec)
#include "kms/identity/token_roles.h"

#include <algorithm>
#include <utility>

#include "kms/auth/glob.h"
#include "kms/base/record_codec.h"
#include "kms/identity/entry_commit.h"
#include "kms/identity/record_lists.h"
#include "kms/identity/token_parameters_codec.h"

namespace kms {

namespace {

constexpr std::string_view kPrefix = "token-roles/";
constexpr std::uint8_t kFormat = 1;

std::string PathOf(const IdentityName& name) { return std::string(kPrefix) + name.text(); }

Result<SecretBytes> Encode(const TokenRole& role) {
  RecordWriter writer('O', kFormat);
  writer.PutFlag(role.orphan);
  writer.PutFlag(role.renewable);
  writer.PutText(role.path_suffix);
  PutTexts(role.allowed_policies, writer);
  PutTexts(role.disallowed_policies, writer);
  PutTexts(role.allowed_policies_glob, writer);
  PutTexts(role.disallowed_policies_glob, writer);
  PutTokenParameters(role.parameters, writer);
  return SecretBytes::CopyOf(writer.Take());
}

Result<TokenRole> Decode(ByteView encoded) {
  RecordReader reader(encoded);
  reader.GetHead('O', kFormat);
  TokenRole role;
  role.orphan = reader.GetFlag();
  role.renewable = reader.GetFlag();
  role.path_suffix = reader.GetText();
  role.allowed_policies = GetTexts(reader);
  role.disallowed_policies = GetTexts(reader);
  role.allowed_policies_glob = GetTexts(reader);
  role.disallowed_policies_glob = GetTexts(reader);
  role.parameters = GetTokenParameters(reader);
  if (!reader.Finished()) {
    return Corrupted("damaged entry", "token role record");
  }
  return role;
}

bool AnyMatches(const std::vector<std::string>& globs, std::string_view policy) {
  return std::ranges::any_of(
      globs, [policy](const std::string& glob) { return MatchesEdgeGlob(glob, policy); });
}

}  // namespace

bool TokenRole::Allows(std::string_view policy) const {
  return std::ranges::find(allowed_policies, policy) != allowed_policies.end() ||
         AnyMatches(allowed_policies_glob, policy);
}

bool TokenRole::Disallows(std::string_view policy) const {
  return std::ranges::find(disallowed_policies, policy) != disallowed_policies.end() ||
         AnyMatches(disallowed_policies_glob, policy);
}

Result<std::optional<TokenRole>> TokenRoles::Read(const IdentityName& name) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys_.Get(PathOf(name)));
  if (!entry) {
    return std::optional<TokenRole>{};
  }
  return std::optional{KMS_TRY(Decode(entry->value.View()))};
}

Status TokenRoles::Write(const IdentityName& name, const TokenRole& role) {
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = PathOf(name), .value = KMS_TRY(Encode(role))});
  return CommitEntries(sys_, std::move(mutations));
}

Status TokenRoles::Delete(const IdentityName& name) {
  std::vector<SealedMutation> mutations;
  mutations.push_back({.path = PathOf(name)});
  return CommitEntries(sys_, std::move(mutations));
}

Result<std::vector<std::string>> TokenRoles::List(std::string_view after, std::size_t limit) {
  return ListNamesBelow(sys_, std::string(kPrefix), after, limit);
}

}  // namespace kms
