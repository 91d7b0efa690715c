// SPDX-License-Identifier: Apache-2.0
// Acl against a second evaluator, written straight from transit-api 11.3 and 11.4 with no care for
// speed: on random policies and paths both must name the same rule and give the same answer.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "kms/auth/acl.h"
#include "tests/support/matchers.h"

namespace kms {
namespace {

using enum Capability;

// ---- the reference ------------------------------------------------------------------------------

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

bool IsPlus(const std::string& segment) { return segment == "+"; }

bool Wild(const std::string& pattern) {
  return pattern.ends_with('*') || std::ranges::any_of(Split(pattern), IsPlus);
}

bool Matches(const std::string& pattern, const std::string& path) {
  const bool prefix = pattern.ends_with('*');
  const auto want = Split(prefix ? pattern.substr(0, pattern.size() - 1) : pattern);
  const auto have = Split(path);
  if (have.size() < want.size() || (!prefix && have.size() != want.size())) {
    return false;
  }
  for (std::size_t i = 0; i < want.size(); ++i) {
    const bool last = prefix && i + 1 == want.size();
    if (IsPlus(want[i]) ? have[i].empty()
                        : (last ? !have[i].starts_with(want[i]) : have[i] != want[i])) {
      return false;
    }
  }
  return true;
}

auto Priority(const std::string& pattern) {
  const auto parts = Split(pattern);
  std::size_t wildcard = 0;
  for (const std::string& part : parts) {
    if (IsPlus(part)) {
      break;
    }
    wildcard += part.size() + 1;
  }
  const bool star = pattern.ends_with('*');
  wildcard = std::min(wildcard, star ? pattern.size() - 1 : pattern.size());
  return std::tuple(wildcard, !star, -std::ranges::count_if(parts, IsPlus), pattern.size(),
                    pattern);
}

struct ReferenceRule {
  std::string pattern;
  CapabilitySet capabilities;
  bool denies = false;
};

const ReferenceRule* Best(const std::vector<ReferenceRule>& rules, const std::string& path) {
  const ReferenceRule* best = nullptr;
  for (const ReferenceRule& rule : rules) {
    if (Wild(rule.pattern) && Matches(rule.pattern, path) &&
        (best == nullptr || Priority(rule.pattern) > Priority(best->pattern))) {
      best = &rule;
    }
  }
  return best;
}

const ReferenceRule* Reference(const std::vector<ReferenceRule>& rules, const std::string& path,
                               Capability capability) {
  const bool list = path.ends_with('/') && (capability == kList || capability == kScan);
  const std::string bare = list ? path.substr(0, path.size() - 1) : path;
  for (const std::string& exact : {path, bare}) {
    const auto found = std::ranges::find(rules, exact, &ReferenceRule::pattern);
    if (found != rules.end() && !Wild(exact)) {
      return &*found;
    }
  }
  const ReferenceRule* best = Best(rules, path);
  const ReferenceRule* other = list ? Best(rules, bare) : nullptr;
  if (best == nullptr ||
      (other != nullptr && other->denies && Priority(other->pattern) > Priority(best->pattern))) {
    return other;
  }
  return best;
}

// ---- random worlds ------------------------------------------------------------------------------

constexpr std::size_t kPolicies = 600;
constexpr std::size_t kPathsEach = 60;

class World {
 public:
  explicit World(std::uint32_t seed) : random_(seed) {}

  std::size_t Below(std::size_t bound) { return random_() % bound; }
  template <typename List>
  auto Pick(const List& list) {
    return list[Below(list.size())];
  }

  std::string Segments(const std::vector<std::string>& alphabet) {
    std::string text = Pick(alphabet);
    for (std::size_t more = Below(4); more > 0; --more) {
      text += "/" + Pick(alphabet);
    }
    return text;
  }
  std::string Pattern() {
    static const std::vector<std::string> kSegments = {"a",   "ab", "b",  "+",
                                                       "abc", "+",  "a+", "a*b"};
    std::string pattern = Segments(kSegments);
    if (Below(8) == 0) {
      pattern += "/";
    }
    return pattern + (Below(3) == 0 && !pattern.ends_with('+') ? "*" : "");
  }
  std::string Path() {
    static const std::vector<std::string> kSegments = {"a", "ab", "b", "abc", "+", "a*b", "c"};
    return Segments(kSegments) + (Below(3) == 0 ? "/" : "");
  }
  CapabilitySet Capabilities() {
    CapabilitySet set;
    for (const Capability capability : {kRead, kUpdate, kList, kScan}) {
      if (Below(2) == 0) {
        set.Add(capability);
      }
    }
    if (Below(4) == 0) {
      set = {};
      set.Add(kDeny);
    }
    return set;
  }

 private:
  std::mt19937 random_;
};

// Policies of random stanzas, and what they come to when merged by hand.
std::vector<NamedPolicy> RandomPolicies(World& world, std::vector<ReferenceRule>& merged) {
  std::vector<NamedPolicy> policies;
  for (std::size_t number = 0; number <= world.Below(3); ++number) {
    auto policy = std::make_shared<Policy>();
    for (std::size_t left = world.Below(12); left > 0; --left) {
      PolicyStanza stanza;
      stanza.pattern = world.Pattern();
      stanza.capabilities = world.Capabilities();
      auto rule = std::ranges::find(merged, stanza.pattern, &ReferenceRule::pattern);
      if (rule == merged.end()) {
        rule = merged.insert(merged.end(), ReferenceRule{.pattern = stanza.pattern});
      }
      rule->capabilities.AddAll(stanza.capabilities);
      rule->denies = rule->denies || stanza.capabilities.Has(kDeny);
      policy->stanzas.push_back(std::move(stanza));
    }
    policies.push_back({.name = "p" + std::to_string(number), .policy = policy});
  }
  return policies;
}

TEST(AclProperty, U5_DecidesAsTheReferenceDoes) {
  World world(20'260'101);
  std::size_t decisions = 0;
  std::size_t allowed = 0;
  std::size_t matched = 0;
  for (std::size_t round = 0; round < kPolicies; ++round) {
    std::vector<ReferenceRule> merged;
    const AclHandle acl = Acl::Compile(RandomPolicies(world, merged), {});
    for (std::size_t path_number = 0; path_number < kPathsEach; ++path_number) {
      const std::string path = world.Path();
      const Capability capability = world.Pick(std::vector{kRead, kUpdate, kList, kScan});
      const AclDecision decision = acl->Decide(path, capability);
      const ReferenceRule* wanted = Reference(merged, path, capability);
      ASSERT_EQ(decision.rule == nullptr ? "none" : decision.rule->pattern,
                wanted == nullptr ? "none" : wanted->pattern)
          << path << " " << CapabilityName(capability) << " in round " << round;
      ASSERT_EQ(decision.allowed,
                wanted != nullptr && !wanted->denies && wanted->capabilities.Has(capability))
          << path;
      const auto matches = acl->MatchesOf(path, capability);
      ASSERT_EQ(matches.empty() ? nullptr : matches.front(), decision.rule);
      ++decisions;
      allowed += decision.allowed ? 1 : 0;
      matched += wanted != nullptr ? 1 : 0;
    }
  }
  EXPECT_GE(decisions, 20'000U);
  EXPECT_GT(allowed, decisions / 20);  // the worlds are not trivial
  EXPECT_GT(matched - allowed, decisions / 20);
}

// Not a bound that a busy machine could miss: it shows orders of magnitude, and the number.
TEST(AclProperty, ATypicalDecisionTakesWellUnderAMicrosecond) {
  std::string text =
      "path \"prod/keys/+\" { capabilities = [\"read\"] }\n"
      "path \"prod/datakey/plaintext/*\" { capabilities = [\"deny\"] }\n"
      "path \"auth/token/*\" { capabilities = [\"update\"] }\n";
  for (int key = 0; key < 20; ++key) {
    const std::string name = std::to_string(key);
    text += "path \"prod/encrypt/app-" + name + "\" { capabilities = [\"update\"] }\n";
    text += "path \"prod/decrypt/app-" + name + "*\" { capabilities = [\"update\"] }\n";
  }
  const NamedPolicy policies[] = {{.name = "app", .policy = *ParsePolicy(text)}};
  const AclHandle acl = Acl::Compile(policies, {});
  constexpr int kRounds = 100'000;
  std::size_t allowed = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < kRounds; ++round) {
    allowed += acl->Decide("prod/encrypt/app-7", kUpdate).allowed ? 1U : 0U;
    allowed += acl->Decide("prod/decrypt/app-7-blue", kUpdate).allowed ? 1U : 0U;
    allowed += acl->Decide("prod/keys/app-7", kRead).allowed ? 1U : 0U;
    allowed += acl->Decide("staging/encrypt/app-7", kUpdate).allowed ? 1U : 0U;
  }
  const auto spent = std::chrono::steady_clock::now() - begin;
  const double nanoseconds =
      std::chrono::duration<double, std::nano>(spent).count() / (4.0 * kRounds);
  std::printf("%.0f ns per decision\n", nanoseconds);
  EXPECT_EQ(allowed, std::size_t{3} * kRounds);
  EXPECT_LT(nanoseconds, 20'000.0);
}

}  // namespace
}  // namespace kms
