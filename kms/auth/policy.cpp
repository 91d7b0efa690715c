// SPDX-License-Identifier: Apache-2.0
// What the tree of a policy document means (transit-api 11.1, 11.2).
#include "kms/auth/policy.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kms/auth/policy_document.h"
#include "kms/auth/policy_scanner.h"
#include "kms/auth/policy_template.h"
#include "kms/auth/policy_values.h"

namespace kms {
namespace {

using internal::PolicyErrorAt;
using internal::PolicyNode;
using internal::ShownInError;
using Kind = PolicyNode::Kind;

// A stanza while it is read.
struct Draft {
  PolicyStanza& stanza;
  bool has_capabilities = false;
  bool has_legacy_policy = false;
};

Status ReadCapabilities(const PolicyNode& node, Draft& draft) {
  if (node.kind != Kind::kList) {
    return PolicyErrorAt(node.line, "capabilities must be a list, for example [\"read\"]");
  }
  for (const PolicyNode& item : node.children) {
    const auto capability = item.kind == Kind::kString ? ParseCapability(item.text) : std::nullopt;
    if (!capability) {
      return PolicyErrorAt(item.line,
                           "invalid capability " + ShownInError(item.text) +
                               ": create, read, update, delete, list, patch, scan, sudo and deny "
                               "are known");
    }
    draft.stanza.capabilities.Add(*capability);
  }
  draft.has_capabilities = true;
  return Ok();
}

Status ReadLegacyPolicy(const PolicyNode& node, Draft& draft) {
  using enum Capability;
  CapabilitySet& set = draft.stanza.capabilities;
  draft.has_legacy_policy = true;
  if (node.kind == Kind::kString && node.text == "deny") {
    set.Add(kDeny);
    return Ok();
  }
  const bool sudo = node.text == "sudo";
  const bool write = sudo || node.text == "write";
  if (node.kind != Kind::kString || (!write && node.text != "read")) {
    return PolicyErrorAt(node.line, "invalid policy " + ShownInError(node.text) +
                                        ": read, write, sudo and deny are known");
  }
  set.Add(kRead);
  set.Add(kList);
  for (const Capability capability : {kCreate, kUpdate, kDelete}) {
    if (write) {
      set.Add(capability);
    }
  }
  if (sudo) {
    set.Add(kSudo);
  }
  return Ok();
}

Result<ParameterValues> ReadValues(const PolicyNode& node, bool denied) {
  if (node.kind != Kind::kList) {
    return PolicyErrorAt(node.line, "the values of " + ShownInError(node.key) +
                                        " must be a list; [] stands for any value");
  }
  ParameterValues values;
  for (const PolicyNode& item : node.children) {
    if (!item.IsScalar()) {
      return PolicyErrorAt(item.line, "values are strings, numbers or booleans");
    }
    if (internal::HasTemplate(item.text)) {
      return PolicyErrorAt(item.line, "templates stand in paths and required_context only");
    }
    internal::AddSpellings(item.text, denied, values);
  }
  return values;
}

Status ReadParameterMap(const PolicyNode& node, bool denied,
                        std::map<std::string, ParameterValues>& map) {
  if (node.kind == Kind::kList) {
    for (const PolicyNode& item : node.children) {
      if (item.kind != Kind::kObject) {
        return PolicyErrorAt(item.line, "parameters are written as { \"name\" = [values] }");
      }
      KMS_TRY(ReadParameterMap(item, denied, map));
    }
    return Ok();
  }
  if (node.kind != Kind::kObject) {
    return PolicyErrorAt(node.line, "parameters are written as { \"name\" = [values] }");
  }
  for (const PolicyNode& member : node.children) {
    ParameterValues values = KMS_TRY(ReadValues(member, denied));
    if (!map.emplace(internal::Lowered(member.key), std::move(values)).second) {
      return PolicyErrorAt(member.line, ShownInError(member.key) + " is given twice");
    }
  }
  return Ok();
}

Status ReadAllowed(const PolicyNode& node, Draft& draft) {
  return ReadParameterMap(node, /*denied=*/false, draft.stanza.parameters.allowed);
}

Status ReadDenied(const PolicyNode& node, Draft& draft) {
  return ReadParameterMap(node, /*denied=*/true, draft.stanza.parameters.denied);
}

Status ReadRequired(const PolicyNode& node, Draft& draft) {
  std::vector<std::string>& required = draft.stanza.parameters.required;
  const bool strings = std::ranges::all_of(node.children, [](const PolicyNode& item) {
    return item.kind == Kind::kString && !item.text.empty();
  });
  if (node.kind != Kind::kList || !strings) {
    return PolicyErrorAt(node.line, "required_parameters must be a list of names");
  }
  for (const PolicyNode& item : node.children) {
    required.push_back(internal::Lowered(item.text));
  }
  std::ranges::sort(required);
  const auto repeated = std::ranges::unique(required);
  required.erase(repeated.begin(), repeated.end());
  return Ok();
}

Result<std::int64_t> ReadDuration(const PolicyNode& node) {
  const auto seconds = node.kind == Kind::kNumber || node.kind == Kind::kString
                           ? internal::DurationSeconds(node.text)
                           : std::nullopt;
  if (!seconds) {
    return PolicyErrorAt(node.line,
                         node.key + " must be a number of seconds or a duration such as \"15m\"");
  }
  return *seconds;
}

Status ReadMinWrappingTtl(const PolicyNode& node, Draft& draft) {
  draft.stanza.min_wrapping_ttl_seconds = KMS_TRY(ReadDuration(node));
  return Ok();
}

Status ReadMaxWrappingTtl(const PolicyNode& node, Draft& draft) {
  draft.stanza.max_wrapping_ttl_seconds = KMS_TRY(ReadDuration(node));
  return Ok();
}

Status AddContext(const PolicyNode& node, Draft& draft) {
  if (node.kind != Kind::kString || node.text.empty()) {
    return PolicyErrorAt(node.line, "required_context must be a text or a list of texts");
  }
  if (const Status checked = internal::CheckTemplates(node.text); !checked) {
    return PolicyErrorAt(node.line, checked.error().public_message);
  }
  draft.stanza.required_context.push_back(node.text);
  return Ok();
}

Status ReadRequiredContext(const PolicyNode& node, Draft& draft) {
  if (node.kind != Kind::kList) {
    return AddContext(node, draft);
  }
  if (node.children.empty()) {
    return PolicyErrorAt(node.line, "required_context is empty; [\"*\"] demands any context");
  }
  for (const PolicyNode& item : node.children) {
    KMS_TRY(AddContext(item, draft));
  }
  return Ok();
}

Status ReadComment(const PolicyNode& node, Draft& /*draft*/) {
  return node.kind == Kind::kString ? Ok()
                                    : Status(PolicyErrorAt(node.line, "comment must be a text"));
}

// What another server would honour and this one would not must not look honoured.
Status RefuseExpiration(const PolicyNode& node, Draft& /*draft*/) {
  return PolicyErrorAt(node.line,
                       "expiration is not supported: give the tokens a TTL, or delete the stanza "
                       "when its time is over");
}

Status RefuseFilter(const PolicyNode& node, Draft& /*draft*/) {
  return PolicyErrorAt(node.line, node.key + " is not supported: lists are never filtered here");
}

struct StanzaKey {
  std::string_view name;
  Status (*read)(const PolicyNode& node, Draft& draft);
};

constexpr std::array<StanzaKey, 12> kStanzaKeys = {{
    {"capabilities", ReadCapabilities},
    {"policy", ReadLegacyPolicy},
    {"allowed_parameters", ReadAllowed},
    {"denied_parameters", ReadDenied},
    {"required_parameters", ReadRequired},
    {"min_wrapping_ttl", ReadMinWrappingTtl},
    {"max_wrapping_ttl", ReadMaxWrappingTtl},
    {"required_context", ReadRequiredContext},
    {"comment", ReadComment},
    {"expiration", RefuseExpiration},
    {"pagination_limit", RefuseFilter},
    {"list_scan_response_keys_filter_path", RefuseFilter},
}};

// A pattern that no canonical path can ever match is a mistake, and where it denies a dangerous
// one.
Status CheckPattern(std::string_view pattern, int line) {
  if (pattern.empty()) {
    return PolicyErrorAt(line, "a path must not be empty");
  }
  if (pattern.find("+*") != std::string_view::npos) {
    return PolicyErrorAt(line, "the wildcard +* is not allowed: + stands for one whole segment");
  }
  const bool control = std::ranges::any_of(
      pattern, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7f'; });
  if (control) {
    return PolicyErrorAt(line, "control bytes are not allowed in a path");
  }
  if (const Status checked = internal::CheckTemplates(pattern); !checked) {
    return PolicyErrorAt(line, checked.error().public_message);
  }
  for (std::string_view rest = pattern; !rest.empty();) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    if (segment.empty() || segment == "." || segment == "..") {
      return PolicyErrorAt(line, "a path with an empty segment, . or .. matches no request");
    }
    rest.remove_prefix(std::min(segment.size() + 1, rest.size()));
  }
  return Ok();
}

Status ReadStanzaMembers(const PolicyNode& node, Draft& draft) {
  for (const PolicyNode& member : node.children) {
    const auto key = std::ranges::find(kStanzaKeys, std::string_view(member.key), &StanzaKey::name);
    if (key == kStanzaKeys.end()) {
      return PolicyErrorAt(member.line, "unknown key " + ShownInError(member.key));
    }
    KMS_TRY(key->read(member, draft));
  }
  const PolicyStanza& stanza = draft.stanza;
  if (draft.has_capabilities && draft.has_legacy_policy) {
    return PolicyErrorAt(node.line, "give either capabilities or the older policy, not both");
  }
  if (stanza.max_wrapping_ttl_seconds != 0 &&
      stanza.max_wrapping_ttl_seconds < stanza.min_wrapping_ttl_seconds) {
    return PolicyErrorAt(node.line, "max_wrapping_ttl is smaller than min_wrapping_ttl");
  }
  return Ok();
}

// "line 3: text" becomes `line 3: path "x": text`.
Error InPath(const Error& error, std::string_view pattern) {
  const std::string& text = error.public_message;
  const std::size_t after_line = std::min(text.find(": "), text.size() - 2) + 2;
  return InvalidArgument(
      text.substr(0, after_line) + "path " + ShownInError(pattern) + ": " + text.substr(after_line),
      {}, error.where);
}

Status ReadStanza(const PolicyNode& node, std::string_view pattern, Policy& policy) {
  if (node.kind == Kind::kList) {
    for (const PolicyNode& item : node.children) {
      KMS_TRY(ReadStanza(item, pattern, policy));
    }
    return Ok();
  }
  PolicyStanza stanza;
  stanza.pattern = pattern.substr(pattern.starts_with('/') ? 1 : 0);
  Draft draft{.stanza = stanza};
  Status read = CheckPattern(stanza.pattern, node.line);
  if (read && node.kind != Kind::kObject) {
    read = PolicyErrorAt(node.line, "rules are written in braces");
  }
  if (read) {
    read = ReadStanzaMembers(node, draft);
  }
  if (!read) {
    return InPath(read.error(), pattern);
  }
  if (stanza.capabilities.Has(Capability::kDeny)) {
    stanza.capabilities = CapabilitySet();
    stanza.capabilities.Add(Capability::kDeny);
  }
  policy.stanzas.push_back(std::move(stanza));
  return Ok();
}

Status ReadPaths(const PolicyNode& node, Policy& policy) {
  if (node.kind == Kind::kList) {
    for (const PolicyNode& item : node.children) {
      KMS_TRY(ReadPaths(item, policy));
    }
    return Ok();
  }
  if (node.kind != Kind::kObject) {
    return PolicyErrorAt(node.line, "path is written as path \"some/path\" { ... }");
  }
  for (const PolicyNode& member : node.children) {
    KMS_TRY(ReadStanza(member, member.key, policy));
  }
  return Ok();
}

}  // namespace

Result<std::shared_ptr<const Policy>> ParsePolicy(std::string_view text) {
  if (text.size() > kMaxPolicyBytes) {
    return InvalidArgument("the document is larger than 256 KiB");
  }
  const PolicyNode root = KMS_TRY(internal::ReadPolicyDocument(text));
  auto policy = std::make_shared<Policy>();
  for (const PolicyNode& member : root.children) {
    if (member.key == "path") {
      KMS_TRY(ReadPaths(member, *policy));
    } else if (member.key != "name" || member.kind != Kind::kString) {
      return PolicyErrorAt(member.line, member.key == "name"
                                            ? "name must be a text"
                                            : "unknown key " + ShownInError(member.key) +
                                                  ": a policy has path, and perhaps name");
    }
  }
  return policy;
}

}  // namespace kms
