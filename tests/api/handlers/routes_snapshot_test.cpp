// SPDX-License-Identifier: Apache-2.0
// The route table's golden copy: a new or widened route shows up here as a difference.
#include <gtest/gtest.h>

#include <string>

#include "api/handlers/route_table.h"

namespace kms::api {
namespace {

std::string_view CapabilityName(Capability capability) {
  switch (capability) {
    case Capability::kUnset: return "unset";
    case Capability::kNone: return "none";
    case Capability::kCreate: return "create";
    case Capability::kRead: return "read";
    case Capability::kUpdate: return "update";
    case Capability::kDelete: return "delete";
    case Capability::kList: return "list";
    case Capability::kSudo: return "sudo";
  }
  return "?";
}

std::string Line(const Route& route) {
  std::string line = std::string(OperationName(route.operation)) + " ";
  line += route.absolute ? "/" : "{environment}/";
  line += std::string(route.pattern) + " needs " + std::string(CapabilityName(route.capability));
  line += route.changes_state ? ", changes state" : "";
  line += route.unauthenticated ? ", unauthenticated" : "";
  line += route.hoisted ? ", hoisted" : "";
  line += route.head ? ", HEAD" : "";
  line += route.on_loop ? ", on the loop" : "";
  line += route.hot != HotVerb::kNone ? ", hot" : "";
  return line + "\n";
}

TEST(RouteTable, EveryRowHasAHandler) {
  for (const Route& route : RouteTable()) {
    EXPECT_NE(route.handle, nullptr) << route.pattern;
  }
}

TEST(RouteTable, IsWhatWasReviewed) {
  std::string table;
  for (const Route& route : RouteTable()) {
    table += Line(route);
  }
  EXPECT_EQ(table,
            "update {environment}/encrypt/{name} needs update, hot\n"
            "update {environment}/decrypt/{name} needs update, hot\n"
            "update {environment}/rewrap/{name} needs update, hot\n"
            "update {environment}/datakey/{plaintext}/{name} needs update, hot\n"
            "update {environment}/datakeys/{plaintext}/{name} needs update\n"
            "update {environment}/keys/{name} needs update, changes state\n"
            "read {environment}/keys/{name} needs read\n"
            "delete {environment}/keys/{name} needs delete, changes state\n"
            "list {environment}/keys needs list\n"
            "update {environment}/keys/{name}/config needs update, changes state\n"
            "update {environment}/keys/{name}/rotate needs update, changes state\n"
            "update {environment}/keys/{name}/trim needs update, changes state\n"
            "delete {environment}/keys/{name}/soft-delete needs delete, changes state\n"
            "update {environment}/keys/{name}/soft-delete-restore needs update, changes state\n"
            "read {environment}/wrapping_key needs read\n"
            "update {environment}/keys/{name}/import needs update, changes state\n"
            "update {environment}/keys/{name}/import_version needs update, changes state\n"
            "read {environment}/export/{type}/{name} needs read\n"
            "read {environment}/export/{type}/{name}/{version} needs read\n"
            "read {environment}/byok-export/{destination}/{source} needs read\n"
            "read {environment}/byok-export/{destination}/{source}/{version} needs read\n"
            "update {environment}/derive-key/{name} needs update, changes state\n"
            "update {environment}/keys/{name}/csr needs update\n"
            "update {environment}/keys/{name}/set-certificate needs update, changes state\n"
            "read {environment}/backup/{name} needs read, changes state\n"
            "update {environment}/restore needs update, changes state\n"
            "update {environment}/restore/{name} needs update, changes state\n"
            "update {environment}/random needs update\n"
            "update {environment}/random/{source} needs update\n"
            "update {environment}/random/{source}/{bytes} needs update\n"
            "update {environment}/hash needs update\n"
            "update {environment}/hash/{algorithm} needs update\n"
            "update {environment}/hmac/{name} needs update\n"
            "update {environment}/hmac/{name}/{algorithm} needs update\n"
            "update {environment}/sign/{name} needs update\n"
            "update {environment}/sign/{name}/{hash_algorithm} needs update\n"
            "update {environment}/verify/{name} needs update\n"
            "update {environment}/verify/{name}/{hash_algorithm} needs update\n"
            "read {environment}/config/keys needs read\n"
            "update {environment}/config/keys needs update, changes state\n"
            "read {environment}/cache-config needs read\n"
            "update {environment}/cache-config needs update, changes state\n"
            "read /sys/health needs none, unauthenticated, HEAD, on the loop\n"
            "read /sys/seal-status needs none, unauthenticated, on the loop\n"
            "read /sys/leader needs none, unauthenticated, on the loop\n"
            "read /sys/init needs none, unauthenticated, on the loop\n"
            "read /sys/mounts needs read, hoisted\n"
            "read /sys/mounts/{path*}/tune needs read, hoisted\n"
            "update /sys/mounts/{path*}/tune needs update, changes state\n"
            "read /sys/mounts/{path*} needs read, hoisted\n"
            "update /sys/mounts/{path*} needs update, changes state\n"
            "delete /sys/mounts/{path*} needs delete, changes state\n"
            "read /sys/internal/ui/mounts needs none, unauthenticated\n"
            "read /sys/internal/ui/mounts/{path*} needs read\n"
            "read /sys/hsm/status needs read\n"
            "read /sys/environments/status needs read\n"
            "read /sys/metrics needs read\n"
            "update /sys/tools/random needs update\n"
            "update /sys/tools/random/{source} needs update\n"
            "update /sys/tools/random/{source}/{bytes} needs update\n"
            "update /sys/tools/hash needs update\n"
            "update /sys/tools/hash/{algorithm} needs update\n"
            "read /auth/token/lookup-self needs read\n"
            "update /auth/token/lookup-self needs update\n"
            "update /auth/token/renew-self needs update\n"
            "update /auth/token/revoke-self needs update, changes state\n");
}

}  // namespace
}  // namespace kms::api
