// SPDX-License-Identifier: Apache-2.0
// sys/mounts: environments as mounts (transit-api 9.5). Inside a namespace there is one mount,
// transit/, which is the environment the namespace names (13.1).
#include <string>
#include <utility>

#include "api/handlers/handlers.h"
#include "api/handlers/mount_info.h"
#include "api/handlers/recovery_fields.h"
#include "api/pipeline/addressed_environment.h"
#include "api/pipeline/call.h"
#include "kms/operations/lease_settings.h"
#include "kms/operations/resident_versions.h"

namespace kms::api {
namespace {

constexpr std::string_view kFixedMount = "transit";

// The environment that a mount path means here.
std::string EnvironmentPath(const Call& call) {
  return AddressedEnvironment(call.name_space, call.fields.Text("path"));
}

Result<EnvironmentName> NameOf(const Call& call) {
  return EnvironmentName::Parse(EnvironmentPath(call));
}

Result<std::shared_ptr<Environment>> RequireMount(const Call& call) {
  std::shared_ptr<Environment> environment =
      call.services.environments.Find(EnvironmentPath(call));
  if (environment == nullptr) {
    return InvalidArgument("No secret engine mount at " +
                           std::string(call.fields.Text("path").substr(0, 256)) + "/");
  }
  return environment;
}

// Every listing of mounts repeats it.
Result<std::string> DescriptionOf(const Call& call) {
  constexpr std::size_t kMaxDescriptionBytes = 4096;
  const std::string_view text = call.fields.Text("description");
  if (text.size() > kMaxDescriptionBytes) {
    return InvalidArgument("the description is longer than 4096 bytes");
  }
  return std::string(text);
}

void AppendListed(const Environment& environment, std::string_view path, JsonObject& list,
                  std::string& out) {
  list.Key(std::string(path) + "/");
  JsonObject mount(out);
  AppendMount(environment, mount, out);
  mount.Close();
}

std::string_view OptionOf(const EnvironmentSettings& settings, std::string_view name) {
  const auto option = settings.options.find(std::string(name));
  return option == settings.options.end() ? std::string_view() : option->second;
}

// Who administers one environment does not reach the keys of other programs in its HSMs by that, nor
// keeps its keys in memory without an HSM.
Status CheckSudoOptions(const Call& call, const EnvironmentSettings& before,
                        const EnvironmentSettings& after) {
  if (call.May(Capability::kSudo)) {
    return Ok();
  }
  for (const std::string_view name : {kLeaseIntervalOption, kLeaseGraceOption}) {
    if (OptionOf(before, name) != OptionOf(after, name)) {
      return MakeError(ErrorCode::kPermissionDenied,
                       "permission denied: changing option \"" + std::string(name) +
                           "\" needs sudo on this path");
    }
  }
  if (WidensExternalKeys(OptionOf(before, kExternalKeysOption),
                         OptionOf(after, kExternalKeysOption))) {
    return MakeError(ErrorCode::kPermissionDenied,
                     "permission denied: allowing more external keys needs sudo on this path");
  }
  return Ok();
}

Status ApplyTune(Call& call, EnvironmentSettings& settings) {
  if (call.fields.Has("description")) {
    settings.description = KMS_TRY(DescriptionOf(call));
  }
  for (const auto& [field, seconds] :
       {std::pair{"default_lease_ttl", &settings.default_lease_ttl_seconds},
        std::pair{"max_lease_ttl", &settings.max_lease_ttl_seconds}}) {
    if (call.fields.Has(field)) {
      *seconds = KMS_TRY(ParseLease(field, call.fields.Text(field)));
    }
  }
  const JsonView options = call.fields.Tree("options");
  if (!options.Find(kHsmsOption).is_null()) {
    return InvalidArgument("option \"hsms\" is for new environments; add one to this by POST "
                           "sys/environments/NAME/hsms (kmsctl hsm add)");
  }
  const EnvironmentSettings before = settings;
  KMS_TRY(ApplyOptions(options, settings));
  return CheckSudoOptions(call, before, settings);
}

}  // namespace

Result<Reply> HandleListMounts(Call& call) {
  std::string out;
  JsonObject list(out);
  const Environments& environments = call.services.environments;
  if (!call.name_space.empty()) {
    if (const auto environment = environments.Find(call.name_space)) {
      AppendListed(*environment, kFixedMount, list, out);
    }
  } else {
    for (const auto& environment : environments.List()) {
      AppendListed(*environment, environment->identity().name, list, out);
    }
  }
  list.Close();
  return Reply::Data(std::move(out));
}

Result<Reply> HandleCreateMount(Call& call) {
  if (call.fields.Text("type") != "transit") {
    return InvalidArgument("this server offers mounts of type \"transit\" only");
  }
  const EnvironmentName name = KMS_TRY(NameOf(call));
  CreateEnvironmentRequest request;
  request.settings.description = KMS_TRY(DescriptionOf(call));
  KMS_TRY(ApplyLeases(call.fields.Tree("config"), request.settings));
  KMS_TRY(ApplyOptions(call.fields.Tree("options"), request.settings));
  KMS_TRY(CheckSudoOptions(call, EnvironmentSettings{}, request.settings));
  request.hsms = KMS_TRY(ParseHsmsOption(call.fields.Tree("options")));
  if (const JsonView recovery = call.fields.Tree("recovery"); !recovery.is_null()) {
    request.recovery = KMS_TRY(ReadRecipientFields(
        recovery.Find("threshold").Integer().value_or(0), recovery.Find("recipients")));
  }
  KMS_TRY(call.services.environments.Create(name, request));
  return Reply::NoContent();
}

Result<Reply> HandleReadMount(Call& call) {
  const std::shared_ptr<Environment> environment = KMS_TRY(RequireMount(call));
  std::string out;
  JsonObject object(out);
  AppendMount(*environment, object, out);
  object.Close();
  return Reply::Data(std::move(out));
}

Result<Reply> HandleDeleteMount(Call& call) {
  const std::shared_ptr<Environment> environment =
      call.services.environments.Find(EnvironmentPath(call));
  if (environment == nullptr) {
    return Reply::NoContent();
  }
  const EnvironmentName name = KMS_TRY(NameOf(call));
  const Status deleted = call.services.environments.Delete(name);
  const std::string& path = environment->identity().name;
  if (!deleted && environment->settings().is_protected) {
    return InvalidArgument("mount " + path + "/ is protected and cannot be deleted; first tune it: "
                           "POST sys/mounts/" + path +
                           R"(/tune with {"options":{"protected":"false"}})");
  }
  if (!deleted) {
    return deleted.error();
  }
  return Reply::NoContent();
}

Result<Reply> HandleReadTune(Call& call) {
  const std::shared_ptr<Environment> environment = KMS_TRY(RequireMount(call));
  std::string out;
  JsonObject object(out);
  AppendTune(*environment, object, out);
  object.Close();
  return Reply::Data(std::move(out));
}

Result<Reply> HandleWriteTune(Call& call) {
  KMS_TRY(RequireMount(call));
  const EnvironmentName name = KMS_TRY(NameOf(call));
  KMS_TRY(call.services.environments.Tune(
      name, [&](EnvironmentSettings& settings) { return ApplyTune(call, settings); }));
  return Reply::NoContent();
}

}  // namespace kms::api
