// SPDX-License-Identifier: Apache-2.0
// sys/seal-status, sys/leader and sys/init (transit-api 9.2 to 9.4).
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"

namespace kms::api {

// There are no unseal shares: the HSM opens the service. The recovery seal is said to be 1 of 1,
// because clients validate t and n as numbers.
Result<Reply> HandleSealStatus(Call& call) {
  const bool sealed = call.services.environments.sys()->sealed();
  std::string out;
  JsonObject object(out);
  object.String("type", "pkcs11");
  object.Boolean("initialized", true);
  object.Boolean("sealed", sealed);
  object.Integer("t", 1);
  object.Integer("n", 1);
  object.Integer("progress", 0);
  object.String("nonce", "");
  object.String("version", call.services.options.version);
  object.String("build_date", call.services.options.build_date);
  object.String("commit_date", call.services.options.build_date);
  object.Boolean("migration", false);
  if (!sealed) {
    object.String("cluster_name", call.services.options.cluster_name);
    object.String("cluster_id", call.services.environments.sys()->identity().id.ToString());
  }
  object.Boolean("recovery_seal", true);
  object.String("recovery_seal_type", "pkcs11");
  object.String("storage_type", call.services.options.storage_type);
  object.Close();
  return Reply::Bare(std::move(out));
}

Result<Reply> HandleLeader(Call& /*call*/) {
  std::string out;
  JsonObject object(out);
  object.Boolean("ha_enabled", false);
  object.Boolean("is_self", true);
  object.String("leader_address", "");
  object.String("leader_cluster_address", "");
  object.Boolean("performance_standby", false);
  object.Integer("performance_standby_last_remote_wal", 0);
  object.Close();
  return Reply::Bare(std::move(out));
}

Result<Reply> HandleInitStatus(Call& /*call*/) { return Reply::Bare(R"({"initialized":true})"); }

}  // namespace kms::api
