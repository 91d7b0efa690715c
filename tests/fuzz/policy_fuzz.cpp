// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::ParsePolicy, kms::Acl::Compile, Decide, MatchesOf, CheckParameters.
// What parses compiles, and whatever decides is the first of those that match; an error is of the
// caller's making and shows printable text only.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kms/auth/acl.h"
#include "kms/base/bytes.h"

namespace {

void Require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void CheckError(const kms::Error& error) {
  Require(error.code == kms::ErrorCode::kInvalidArgument);
  Require(error.public_message.size() < 1024);
  Require(std::ranges::all_of(error.public_message, [](char c) { return c >= ' ' && c <= '~'; }));
}

void CheckDecision(const kms::Acl& acl, std::string_view path, kms::Capability capability) {
  const kms::AclDecision decision = acl.Decide(path, capability);
  const auto matches = acl.MatchesOf(path, capability);
  Require((matches.empty() ? nullptr : matches.front()) == decision.rule);
  if (decision.rule == nullptr) {
    Require(!decision.allowed);
    return;
  }
  const bool denies = decision.rule->capabilities.Has(kms::Capability::kDeny);
  Require(decision.allowed == (!denies && decision.rule->capabilities.Has(capability)));
  const kms::RequestParameter parameters[] = {{.name = "type", .value = path}};
  kms::IgnoreError(kms::CheckParameters(*decision.rule, parameters), "either answer is right");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = kms::AsText({data, size});
  const auto policy = kms::ParsePolicy(text);
  if (!policy) {
    CheckError(policy.error());
    return 0;
  }
  const kms::TemplateValues values{
      .entity_id = "id", .entity_name = "name", .metadata = {{"k", "v"}}};
  const kms::NamedPolicy named[] = {{.name = "fuzz", .policy = *policy}};
  const kms::AclHandle acl = kms::Acl::Compile(named, values);
  for (const kms::PolicyStanza& stanza : (*policy)->stanzas) {
    Require(!stanza.pattern.empty());
    CheckDecision(*acl, stanza.pattern, kms::Capability::kRead);
    CheckDecision(*acl, stanza.pattern + "/", kms::Capability::kList);
  }
  CheckDecision(*acl, text.substr(0, 64), kms::Capability::kUpdate);
  return 0;
}
