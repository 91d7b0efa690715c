// SPDX-License-Identifier: Apache-2.0
// The route table's golden copy, tests/api/handlers/routes.txt: a new or widened route shows up as a
// difference.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>

#include "api/handlers/route_table.h"

namespace kms::api {
namespace {

std::string_view ApprovalName(ApprovalAction action) {
  switch (action) {
    case ApprovalAction::kNone: return "";
    case ApprovalAction::kDelete: return ", approval of delete";
    case ApprovalAction::kTrim: return ", approval of trim";
    case ApprovalAction::kExport: return ", approval of export";
    case ApprovalAction::kBackup: return ", approval of backup";
    case ApprovalAction::kConfigure: return ", approval of configure";
    case ApprovalAction::kTune: return ", approval of tune";
    case ApprovalAction::kUnseal: return ", approval of unseal";
    case ApprovalAction::kRestore: return ", approval of restore";
    case ApprovalAction::kRetireMaster: return ", approval of retire_master";
    case ApprovalAction::kRecovery: return ", approval of recovery";
  }
  return "?";
}

std::string RoomOf(const Route& route) {
  if (route.absolute) {
    return "/";
  }
  return route.auth_type.empty() ? "{environment}/" : "{" + std::string(route.auth_type) + "}/";
}

std::string Line(const Route& route) {
  std::string line = std::string(OperationName(route.operation)) + " " + RoomOf(route);
  line += std::string(route.pattern) + " needs ";
  line += route.exists != nullptr ? "create or update"
                                  : std::string(CapabilityName(route.capability));
  line += route.sudo ? " and sudo" : "";
  line += route.changes_state ? ", changes state" : "";
  line += route.unauthenticated ? ", unauthenticated" : "";
  line += route.login ? ", login" : "";
  line += ApprovalName(route.approval);
  line += route.hoisted ? ", hoisted" : "";
  line += route.head ? ", HEAD" : "";
  line += route.on_loop ? ", on the loop" : "";
  line += route.hot != HotVerb::kNone ? ", hot" : "";
  return line;
}

TEST(RouteTable, EveryRowHasAHandler) {
  for (const Route& route : RouteTable()) {
    EXPECT_NE(route.handle, nullptr) << route.pattern;
  }
}

// Both ways, line by line, so that a failure names the rows in question.
TEST(RouteTable, IsWhatWasReviewed) {
  std::set<std::string> reviewed;
  std::ifstream golden(KMS_SOURCE_DIR "/tests/api/handlers/routes.txt");
  for (std::string line; std::getline(golden, line);) {
    EXPECT_TRUE(reviewed.insert(line).second) << "twice: " << line;
  }
  for (const Route& route : RouteTable()) {
    EXPECT_EQ(reviewed.erase(Line(route)), 1U) << "not reviewed: " << Line(route);
  }
  for (const std::string& line : reviewed) {
    ADD_FAILURE() << "no longer there: " << line;
  }
}

}  // namespace
}  // namespace kms::api
