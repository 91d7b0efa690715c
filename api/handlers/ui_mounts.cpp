// SPDX-License-Identifier: Apache-2.0
// sys/internal/ui/mounts: which mount does a path belong to (transit-api 9.5).
#include "api/handlers/handlers.h"
#include "api/handlers/mount_info.h"
#include "api/pipeline/call.h"
#include "api/pipeline/envelope.h"

namespace kms::api {
namespace {

constexpr std::string_view kFixedMount = "transit";

// The environment a path belongs to, and the mount's name in the caller's namespace.
std::shared_ptr<Environment> FindMount(const Call& call, std::string& mount) {
  const std::string_view path = call.fields.Text("path");
  const std::string name_space(call.name_space);
  std::string_view rest;
  if (name_space.empty()) {
    auto environment = call.services.environments.FindByPath(path, rest);
    mount = environment == nullptr ? "" : environment->identity().name;
    return environment;
  }
  mount = kFixedMount;
  const bool fixed = path == kFixedMount || path.starts_with("transit/");
  return fixed ? call.services.environments.Find(name_space) : nullptr;
}

}  // namespace

// No mount is listed to strangers.
Result<Reply> HandleVisibleMounts(Call& /*call*/) {
  return Reply::Data(R"({"auth":{},"secret":{}})");
}

Result<Reply> HandleMountOfPath(Call& call) {
  std::string mount;
  const std::shared_ptr<Environment> environment = FindMount(call, mount);
  if (environment == nullptr) {
    const std::string path(call.fields.Text("path").substr(0, 256));
    return MakeError(ErrorCode::kPermissionDenied,
                     Wrapped("preflight capability check returned 403, please ensure client's "
                             "policies grant access to path \"" +
                             path + "/\""));
  }
  std::string out;
  JsonObject object(out);
  AppendMount(*environment, object, out);
  object.String("path", mount + "/");
  object.Close();
  return Reply::Data(std::move(out));
}

}  // namespace kms::api
