// SPDX-License-Identifier: Apache-2.0
// Words for the rows of the route table: a verb with the path, who answers it and what it takes;
// around it, what is special about the row.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "api/pipeline/route.h"

namespace kms::api {

// ---- verbs: each needs the capability of its own name ------------------------------------------

constexpr Route Reads(std::string_view pattern, Handler handle,
                      std::span<const FieldSpec> fields = {}) {
  return Route{.operation = Operation::kRead,
               .pattern = pattern,
               .capability = Capability::kRead,
               .fields = fields,
               .handle = handle};
}
constexpr Route Lists(std::string_view pattern, Handler handle,
                      std::span<const FieldSpec> fields = {}) {
  return Route{.operation = Operation::kList,
               .pattern = pattern,
               .capability = Capability::kList,
               .fields = fields,
               .handle = handle};
}
// An update that leaves everything as it was: it uses a key or answers a question.
constexpr Route Posts(std::string_view pattern, Handler handle,
                      std::span<const FieldSpec> fields = {}) {
  return Route{.operation = Operation::kUpdate,
               .pattern = pattern,
               .capability = Capability::kUpdate,
               .fields = fields,
               .handle = handle};
}

// Recorded before it acts and again with its outcome.
constexpr Route ChangingState(Route route) {
  route.changes_state = true;
  return route;
}
constexpr Route Changes(std::string_view pattern, Handler handle,
                        std::span<const FieldSpec> fields = {}) {
  return ChangingState(Posts(pattern, handle, fields));
}
constexpr Route Deletes(std::string_view pattern, Handler handle,
                        std::span<const FieldSpec> fields = {}) {
  return Route{.operation = Operation::kDelete,
               .pattern = pattern,
               .capability = Capability::kDelete,
               .fields = fields,
               .handle = handle,
               .changes_state = true};
}

// ---- what is special about a row ---------------------------------------------------------------

// Needs update where `exists` says so, else create.
constexpr Route WithExistence(ExistenceCheck exists, Route route) {
  route.exists = exists;
  return route;
}
constexpr Route WithApproval(ApprovalAction action, Route route) {
  route.approval = action;
  return route;
}
constexpr Route Hot(HotVerb verb, Route route) {
  route.hot = verb;
  return route;
}
constexpr Route Sudo(Route route) {
  route.sudo = true;
  return route;
}
constexpr Route Hoisted(Route route) {
  route.hoisted = true;
  return route;
}
// Answers anyone, and is audited, limited and counts failures.
constexpr Route WithoutToken(Route route) {
  route.login = true;
  route.capability = Capability::kNone;
  return route;
}
// Answers anyone, and is not audited.
constexpr Route Unauthenticated(Route route) {
  route.unauthenticated = true;
  route.capability = Capability::kNone;
  return route;
}
constexpr Route AlsoHead(Route route) {
  route.head = true;
  return route;
}
constexpr Route OnLoop(Route route) {
  route.on_loop = true;
  return route;
}

// ---- where the rows of a table are -------------------------------------------------------------

template <std::size_t Size>
constexpr std::array<Route, Size> Absolute(std::array<Route, Size> rows) {
  for (Route& row : rows) {
    row.absolute = true;
  }
  return rows;
}
template <std::size_t Size>
constexpr std::array<Route, Size> BelowAuthMounts(std::string_view type,
                                                  std::array<Route, Size> rows) {
  for (Route& row : rows) {
    row.auth_type = type;
  }
  return rows;
}

}  // namespace kms::api
