// SPDX-License-Identifier: Apache-2.0
// Route: one row of the route table. The table is the only place that says what exists, who may do
// it and what it takes; router, authorization, audit and tests read the same rows.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "api/pipeline/field.h"
#include "api/pipeline/reply.h"
#include "kms/auth/capability.h"
#include "kms/base/result.h"

namespace kms::api {

struct Call;
struct RouteMatch;
struct Services;

using kms::Capability;

// What a verb means: POST and PUT are the same operation, LIST and GET ?list=true too.
enum class Operation : std::uint8_t { kRead, kUpdate, kDelete, kList };
std::string_view OperationName(Operation operation);

// The verbs that the loop answers itself when the key is warm.
enum class HotVerb : std::uint8_t { kNone, kEncrypt, kDecrypt, kRewrap, kDataKey };

// What an environment may demand a second person's approval for. kConfigure and kTune only do when
// they lower a guard; the gate looks at the fields.
enum class ApprovalAction : std::uint8_t {
  kNone,
  kDelete,
  kTrim,
  kExport,
  kBackup,
  kConfigure,
  kTune,
  kUnseal,
  kRestore,  // over a key that exists
  kRetireMaster,
  kRecovery,
};

using Handler = Result<Reply> (*)(Call& call);
// Says whether what the request names exists: update is needed then, else create. Runs only for
// callers who have one of the two. May read the store.
using ExistenceCheck = Result<bool> (*)(const Services& services, const RouteMatch& match);

struct Route {
  Operation operation = Operation::kRead;
  // Segments; "{name}" captures one, "{path*}" at the end captures one or more. Below an
  // environment; absolute ("sys/…", "auth/token/…") when `absolute`; below an auth mount of
  // `auth_type` when that is set.
  std::string_view pattern;
  Capability capability = Capability::kUnset;  // kNone only with `unauthenticated` or `login`
  std::span<const FieldSpec> fields = {};
  Handler handle = nullptr;
  bool absolute = false;
  std::string_view auth_type = {};  // "approle", "userpass", "jwt", "cert"
  bool login = false;  // takes no token, but is audited, limited and counts failures
  bool sudo = false;   // needs sudo on its path besides
  ExistenceCheck exists = nullptr;  // set: create or update is needed instead of `capability`
  ApprovalAction approval = ApprovalAction::kNone;
  bool changes_state = false;    // recorded before it acts and again with its outcome
  bool unauthenticated = false;  // answers without a token and is not audited
  bool hoisted = false;          // members of data are repeated at the top of the envelope
  bool head = false;             // also answers HEAD
  bool on_loop = false;          // never blocks and takes no body: answered even when the pool is full
  HotVerb hot = HotVerb::kNone;
};

// For static_assert over a table: every row complete and (operation, pattern) unique. That each has
// a handler is a test's to see: under UBSan gcc does not compare functions at compile time.
constexpr bool IsSound(std::span<const Route> routes) {
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const Route& route = routes[i];
    const bool open = route.capability == Capability::kNone;
    if (route.capability == Capability::kUnset ||
        open != (route.unauthenticated || route.login) || route.pattern.empty() ||
        (route.absolute && !route.auth_type.empty())) {
      return false;
    }
    for (std::size_t j = i + 1; j < routes.size(); ++j) {
      if (route.operation == routes[j].operation && route.pattern == routes[j].pattern &&
          route.absolute == routes[j].absolute && route.auth_type == routes[j].auth_type) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace kms::api
