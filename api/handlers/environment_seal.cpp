// SPDX-License-Identifier: Apache-2.0
// sys/environments/:name/seal and unseal: one environment, by an operator. The keys of the others
// stay where they are.
#include "api/handlers/handlers.h"
#include "api/pipeline/addressed_environment.h"
#include "api/pipeline/call.h"

namespace kms::api {
namespace {

std::string NameOf(const Call& call) {
  return AddressedEnvironment(call.name_space, call.fields.Text("path"));
}

}  // namespace

Result<Reply> HandleSealEnvironment(Call& call) {
  KMS_TRY(call.services.environments.Seal(NameOf(call), "sealed by an operator"));
  return Reply::NoContent();
}

Result<Reply> HandleUnsealEnvironment(Call& call) {
  KMS_TRY(call.services.environments.Unseal(NameOf(call)));
  return Reply::NoContent();
}

}  // namespace kms::api
