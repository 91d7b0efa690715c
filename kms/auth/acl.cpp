// SPDX-License-Identifier: Apache-2.0
// Rules without wildcard are found by hash. Prefixes are sorted, each knowing the longest other one
// that it begins with: the last one that is not behind the path is the longest match, or leads to
// it. Rules with '+' are tried strongest first. Every rule with a wildcard has its rank from the
// start.
#include "kms/auth/acl.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "kms/auth/acl_pattern.h"
#include "kms/auth/policy_template.h"

namespace kms {
namespace {

using internal::AclPattern;

// The pattern of a stanza and its required context, filled in.
struct FilledStanza {
  const PolicyStanza* stanza;
  std::vector<std::string> required_context;
  bool demands_unknown_context = false;
};

FilledStanza FillContext(const PolicyStanza& stanza, const TemplateValues& values) {
  FilledStanza filled{.stanza = &stanza, .required_context = {}};
  for (const std::string& pattern : stanza.required_context) {
    if (auto text = internal::FillTemplates(pattern, values)) {
      filled.required_context.push_back(std::move(*text));
    }
  }
  filled.demands_unknown_context =
      filled.required_context.empty() && !stanza.required_context.empty();
  return filled;
}

void AddUnique(const std::vector<std::string>& more, std::vector<std::string>& sorted) {
  sorted.insert(sorted.end(), more.begin(), more.end());
  std::ranges::sort(sorted);
  const auto repeated = std::ranges::unique(sorted);
  sorted.erase(repeated.begin(), repeated.end());
}

// No values: any value, which wins.
void UniteValues(const std::map<std::string, ParameterValues>& more,
                 std::map<std::string, ParameterValues>& map) {
  for (const auto& [name, values] : more) {
    const auto [known, is_new] = map.try_emplace(name, values);
    if (is_new) {
      continue;
    }
    if (values.empty() || known->second.empty()) {
      known->second.clear();
    } else {
      AddUnique(values, known->second);
    }
  }
}

// 0: none.
std::int64_t SmallerBound(std::int64_t a, std::int64_t b) {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

void Merge(const FilledStanza& filled, AclRule& rule) {
  const PolicyStanza& stanza = *filled.stanza;
  if (rule.capabilities.Has(Capability::kDeny)) {
    return;
  }
  if (stanza.capabilities.Has(Capability::kDeny)) {
    AclRule denied;
    denied.pattern = rule.pattern;
    denied.policies = rule.policies;
    denied.capabilities = stanza.capabilities;
    rule = std::move(denied);
    return;
  }
  if (filled.demands_unknown_context) {
    rule.demands_unknown_context = true;
    return;
  }
  rule.capabilities.AddAll(stanza.capabilities);
  UniteValues(stanza.parameters.allowed, rule.parameters.allowed);
  UniteValues(stanza.parameters.denied, rule.parameters.denied);
  AddUnique(stanza.parameters.required, rule.parameters.required);
  rule.min_wrapping_ttl_seconds =
      SmallerBound(rule.min_wrapping_ttl_seconds, stanza.min_wrapping_ttl_seconds);
  rule.max_wrapping_ttl_seconds =
      SmallerBound(rule.max_wrapping_ttl_seconds, stanza.max_wrapping_ttl_seconds);
  AddUnique(filled.required_context, rule.required_context);
}

bool Denies(const AclRule& rule) { return rule.capabilities.Has(Capability::kDeny); }

// Lists are asked for with a '/' at the end; rules may be written without.
std::string_view WithoutSlash(std::string_view path) { return path.substr(0, path.size() - 1); }

// Sudo is asked for besides list, so the same rule answers.
bool IsListing(std::string_view path, Capability capability) {
  return path.ends_with('/') &&
         (capability == Capability::kList || capability == Capability::kScan ||
          capability == Capability::kSudo);
}

}  // namespace

bool AclRule::unconditional() const {
  return parameters.empty() && min_wrapping_ttl_seconds == 0 && max_wrapping_ttl_seconds == 0 &&
         required_context.empty() && !demands_unknown_context;
}

struct Acl::Impl {
  static constexpr std::size_t kNone = ~std::size_t{0};

  struct Prefix {
    std::string_view stem;
    std::size_t rule;
    std::size_t shorter;  // index of the longest other prefix that this one begins with, or kNone
  };
  struct Segmented {
    AclPattern pattern;
    std::size_t rule;
  };

  explicit Impl(std::vector<AclRule> merged) : rules(std::move(merged)), ranks(rules.size(), 0) {
    Rank();
    for (std::size_t rule = 0; rule < rules.size(); ++rule) {
      const AclPattern pattern(rules[rule].pattern);
      if (pattern.has_plus()) {
        segmented.push_back({pattern, rule});
      } else if (pattern.has_wildcard()) {
        prefixes.push_back({pattern.stem(), rule, kNone});
      } else {
        exact.emplace(rules[rule].pattern, rule);
      }
    }
    std::ranges::sort(segmented, std::ranges::greater(),
                      [this](const Segmented& entry) { return ranks[entry.rule]; });
    LinkPrefixes();
  }

  // 0 for exact rules, which are not compared.
  void Rank() {
    std::vector<std::size_t> order;
    for (std::size_t rule = 0; rule < rules.size(); ++rule) {
      if (AclPattern(rules[rule].pattern).has_wildcard()) {
        order.push_back(rule);
      }
    }
    std::ranges::sort(order, std::ranges::less(), [this](std::size_t rule) {
      return AclPattern(rules[rule].pattern).strength();
    });
    for (std::size_t rank = 0; rank < order.size(); ++rank) {
      ranks[order[rank]] = rank + 1;
    }
  }

  void LinkPrefixes() {
    std::ranges::sort(prefixes, std::ranges::less(), &Prefix::stem);
    for (std::size_t entry = 1; entry < prefixes.size(); ++entry) {
      std::size_t shorter = entry - 1;
      while (shorter != kNone && !prefixes[entry].stem.starts_with(prefixes[shorter].stem)) {
        shorter = prefixes[shorter].shorter;
      }
      prefixes[entry].shorter = shorter;
    }
  }

  [[nodiscard]] std::size_t FindExact(std::string_view path) const {
    const auto found = exact.find(path);
    return found == exact.end() ? kNone : found->second;
  }

  [[nodiscard]] std::size_t LongestPrefix(std::string_view path) const {
    const auto behind =
        std::ranges::upper_bound(prefixes, path, std::ranges::less(), &Prefix::stem);
    auto entry =
        static_cast<std::size_t>(behind - prefixes.begin()) - 1;  // kNone when there is none
    while (entry != kNone && !path.starts_with(prefixes[entry].stem)) {
      entry = prefixes[entry].shorter;
    }
    return entry == kNone ? kNone : prefixes[entry].rule;
  }

  // The strongest rule with a wildcard that matches.
  [[nodiscard]] std::size_t Strongest(std::string_view path) const {
    const std::size_t prefix = LongestPrefix(path);
    for (const Segmented& entry : segmented) {
      if (prefix != kNone && ranks[entry.rule] < ranks[prefix]) {
        break;
      }
      if (entry.pattern.Matches(path)) {
        return entry.rule;
      }
    }
    return prefix;
  }

  // The one rule that decides, or kNone. A list that a weaker rule with the '/' would allow is
  // denied by a stronger one without: the two are one place.
  [[nodiscard]] std::size_t Deciding(std::string_view path, bool listing) const {
    std::size_t found = FindExact(path);
    if (found == kNone && listing) {
      found = FindExact(WithoutSlash(path));
    }
    if (found != kNone) {
      return found;
    }
    found = Strongest(path);
    const std::size_t without = listing ? Strongest(WithoutSlash(path)) : kNone;
    if (without == kNone) {
      return found;
    }
    const bool decides =
        found == kNone || (Denies(rules[without]) && ranks[without] > ranks[found]);
    return decides ? without : found;
  }

  std::vector<AclRule> rules;      // never changes: the others view its texts
  std::vector<std::size_t> ranks;  // of each rule, greater is stronger
  std::unordered_map<std::string_view, std::size_t> exact;
  std::vector<Prefix> prefixes;      // by stem
  std::vector<Segmented> segmented;  // strongest first
};

Acl::Acl(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Acl::~Acl() = default;

std::shared_ptr<const Acl> Acl::Compile(std::span<const NamedPolicy> policies,
                                        const TemplateValues& values) {
  std::map<std::string, AclRule> merged;
  const auto finish = [&merged] {
    std::vector<AclRule> rules;
    for (auto& [pattern, rule] : merged) {
      rules.push_back(std::move(rule));
    }
    return std::shared_ptr<const Acl>(new Acl(std::make_unique<Impl>(std::move(rules))));
  };
  for (const NamedPolicy& named : policies) {
    for (const PolicyStanza& stanza : named.policy->stanzas) {
      const auto pattern = internal::FillTemplates(stanza.pattern, values);
      if (!pattern && stanza.capabilities.Has(Capability::kDeny)) {
        merged.clear();
        return finish();
      }
      if (!pattern) {
        continue;
      }
      AclRule& rule = merged[*pattern];
      rule.pattern = *pattern;
      AddUnique({named.name}, rule.policies);
      Merge(FillContext(stanza, values), rule);
    }
  }
  return finish();
}

AclDecision Acl::Decide(std::string_view path, Capability capability) const {
  const std::size_t found = impl_->Deciding(path, IsListing(path, capability));
  if (found == Impl::kNone) {
    return {};
  }
  const AclRule& rule = impl_->rules[found];
  return {.allowed = !Denies(rule) && rule.capabilities.Has(capability), .rule = &rule};
}

CapabilitySet Acl::CapabilitiesOn(std::string_view path) const {
  const std::size_t found = impl_->Deciding(path, path.ends_with('/'));
  if (found != Impl::kNone && !impl_->rules[found].capabilities.empty()) {
    return impl_->rules[found].capabilities;
  }
  CapabilitySet denied;
  denied.Add(Capability::kDeny);
  return denied;
}

std::vector<const AclRule*> Acl::MatchesOf(std::string_view path, Capability capability) const {
  const bool listing = IsListing(path, capability);
  const std::size_t deciding = impl_->Deciding(path, listing);
  std::vector<std::size_t> others;
  for (std::size_t rule = 0; rule < impl_->rules.size(); ++rule) {
    const AclPattern pattern(impl_->rules[rule].pattern);
    const bool matches = pattern.Matches(path) || (listing && pattern.Matches(WithoutSlash(path)));
    if (matches && rule != deciding) {
      others.push_back(rule);
    }
  }
  // An exact rule has no rank and is stronger than all that have one.
  std::ranges::sort(others, std::ranges::less(), [this](std::size_t rule) {
    return std::pair(impl_->ranks[rule] == 0 ? 0 : Impl::kNone - impl_->ranks[rule], rule);
  });
  std::vector<const AclRule*> matches;
  if (deciding != Impl::kNone) {
    matches.push_back(&impl_->rules[deciding]);
  }
  for (const std::size_t rule : others) {
    matches.push_back(&impl_->rules[rule]);
  }
  return matches;
}

bool Acl::empty() const { return impl_->rules.empty(); }

}  // namespace kms
