// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/approval_gate.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "api/pipeline/addressed_environment.h"
#include "api/pipeline/json_writer.h"
#include "kms/auth/guarded_action.h"
#include "kms/identity/approvals.h"
#include "kms/keys/names.h"

namespace kms::api {
namespace {

constexpr std::string_view kAnyMount = "path";  // the capture of sys/mounts/{path*} and its like

GuardedActions DemandsOf(const EnvironmentSettings& settings) {
  const auto option = settings.options.find(std::string(kRequireApprovalOption));
  if (option == settings.options.end()) {
    return {};
  }
  const Result<GuardedActions> demands = GuardedActions::Parse(option->second);
  // What cannot be read demands everything: it was meant to demand something.
  return demands ? *demands : *GuardedActions::Parse("all");
}

std::shared_ptr<Environment> EnvironmentOf(const Call& call) {
  if (call.environment != nullptr) {
    return call.environment;
  }
  return call.services.environments.Find(
      AddressedEnvironment(call.name_space, call.fields.Text(kAnyMount)));
}

// The key the request is about; null: of none, or none that exists.
Result<KeyHandle> KeyOf(const Call& call, Environment& environment) {
  const std::string_view field = call.fields.Text("source").empty() ? "name" : "source";
  const Result<KeyName> name = KeyName::Parse(call.fields.Text(field));
  if (call.environment == nullptr || !name) {
    return KeyHandle{};
  }
  return environment.FindKey(*name);
}

bool LowersMinimum(const Fields& fields, const Key& key) {
  const std::optional<std::int64_t> asked = fields.OptionalInteger("min_decryption_version");
  return asked && std::max<std::int64_t>(*asked, 1) < key.policy().min_decryption_version;
}

bool ExportsSecrets(const Call& call) {
  const std::string_view type = call.fields.Text("type");
  return type != "public-key" && type != "certificate-chain";
}

std::string OptionText(JsonView value) {
  return value.kind() == JsonKind::kBoolean ? (value.Boolean() ? "true" : "false")
                                            : value.Rendered();
}

// Off what was on, or less demanded than before. What is no valid value does not pass for harmless,
// and a null is a value.
bool LowersGuard(JsonView options, const EnvironmentSettings& settings) {
  const GuardedActions demands = DemandsOf(settings);
  bool lowers = false;
  options.ForEachMember([&](std::string_view name, JsonView value) {
    const std::string text = OptionText(value);
    if (name == "protected") {
      const bool turned_off = settings.is_protected && !ParseGoBoolean(text).value_or(false);
      lowers = lowers || (turned_off && demands.Has(GuardedAction::kUnprotect));
    } else if (name == kRequireApprovalOption) {
      const Result<GuardedActions> wanted = GuardedActions::Parse(text);
      lowers = lowers || !wanted || !wanted->Covers(demands);
    }
  });
  return lowers;
}

// Deleting an environment is both: the end of its keys, and of whatever protected them.
GuardedAction DeletionOfAll(GuardedActions demands) {
  return demands.Has(GuardedAction::kDelete) ? GuardedAction::kDelete : GuardedAction::kUnprotect;
}

std::optional<GuardedAction> TuningAction(const Call& call, const EnvironmentSettings& settings) {
  if (call.route.operation == Operation::kDelete) {
    return DeletionOfAll(DemandsOf(settings));
  }
  return LowersGuard(call.fields.Tree("options"), settings)
             ? std::optional(GuardedAction::kUnprotect)
             : std::nullopt;
}

std::optional<GuardedAction> ActionOf(const Call& call, const EnvironmentSettings& settings,
                                      const Key* key) {
  switch (call.route.approval) {
    case ApprovalAction::kNone: return std::nullopt;
    case ApprovalAction::kDelete: return GuardedAction::kDelete;
    case ApprovalAction::kTrim: return GuardedAction::kTrim;
    case ApprovalAction::kBackup: return GuardedAction::kBackup;
    case ApprovalAction::kUnseal: return GuardedAction::kUnseal;
    case ApprovalAction::kRecovery: return GuardedAction::kRecovery;
    case ApprovalAction::kTune: return TuningAction(call, settings);
    case ApprovalAction::kRetireMaster:
      return call.fields.Boolean("dry_run") ? std::nullopt
                                            : std::optional(GuardedAction::kRetireMaster);
    case ApprovalAction::kExport:
      return ExportsSecrets(call) ? std::optional(GuardedAction::kExport) : std::nullopt;
    case ApprovalAction::kConfigure:
      return key != nullptr && LowersMinimum(call.fields, *key)
                 ? std::optional(GuardedAction::kMinDecryptionVersion)
                 : std::nullopt;
    case ApprovalAction::kRestore:
      return call.fields.Boolean("force") ? std::optional(GuardedAction::kDelete) : std::nullopt;
  }
  return std::nullopt;
}

std::string_view MethodName(HttpMethod method) {
  switch (method) {
    case HttpMethod::kGet: return "GET";
    case HttpMethod::kDelete: return "DELETE";
    default: return "POST";
  }
}

// The path as it is run later: without a namespace, so that it means the same whoever runs it.
std::string CanonicalPath(const Call& call, const Environment& environment) {
  if (call.environment != nullptr) {
    return std::string(call.policy_path);
  }
  const std::string_view pattern = call.route.pattern;
  std::string path(pattern.substr(0, pattern.find('{')));
  path += environment.identity().name;
  path += pattern.substr(pattern.find('}') + 1);
  return path;
}

ApprovalDemand DemandOf(const Call& call, const Environment& environment, GuardedAction action,
                        const Key* key) {
  ApprovalDemand demand;
  demand.action = action;
  demand.environment = environment.identity().name;
  demand.environment_id = environment.identity().id;
  if (key != nullptr) {
    demand.key_name = key->policy().name;
    demand.key = key->policy().incarnation;
  }
  demand.method = MethodName(call.request.method);
  demand.policy_path = CanonicalPath(call, environment);
  demand.path = "/v1/" + demand.policy_path;
  demand.capability = call.route.capability;
  demand.query = call.request.query;
  demand.wrap_ttl = call.request.Header("X-Vault-Wrap-TTL").value_or(std::string_view());
  for (FieldText& field : call.fields.Parameters()) {
    demand.parameters.push_back({.name = std::string(field.name),
                                 .value = std::move(field.value),
                                 .is_scalar = field.is_scalar});
  }
  std::ranges::copy(AsBytes(call.request.body),
                    demand.body.Reset(call.request.body.size()).begin());
  return demand;
}

Reply Waiting(const Approval& approval) {
  std::string out;
  JsonObject object(out);
  object.String("request_id", approval.id.ToString());
  object.String("state", "pending");
  object.String("action", GuardedActionName(approval.demand.action));
  object.String("environment", approval.demand.environment);
  object.String("expires",
                ToRfc3339(WallTime{std::chrono::seconds{approval.expires_unix_seconds}}));
  object.Close();
  Reply reply = Reply::Data(std::move(out));
  reply.status = 202;
  return reply;
}

Result<Reply> Keep(Call& call, ApprovalDemand demand) {
  KMS_TRY(call.record_attempt());
  const Principal& caller = *call.principal;
  const Approval approval = KMS_TRY(call.services.identity.approvals().Create(
      std::move(demand),
      {.actor = caller.actor, .accessor = caller.accessor, .display_name = caller.display_name}));
  call.audit.approval_id = approval.id.ToString();
  return Waiting(approval);
}

}  // namespace

Result<std::optional<Reply>> DemandApproval(Call& call) {
  const std::shared_ptr<Environment> environment = EnvironmentOf(call);
  if (environment == nullptr) {  // the handler says so
    return std::optional<Reply>{};
  }
  const EnvironmentSettings settings = environment->settings();
  const GuardedActions demands = DemandsOf(settings);
  if (demands.empty()) {
    return std::optional<Reply>{};
  }
  const KeyHandle key = KMS_TRY(KeyOf(call, *environment));
  const std::optional<GuardedAction> action = ActionOf(call, settings, key.get());
  // To demand less is guarded whatever it is that is demanded.
  const bool tunes =
      call.route.approval == ApprovalAction::kTune && call.route.operation == Operation::kUpdate;
  if (!action || (!tunes && !demands.Has(*action))) {
    return std::optional<Reply>{};
  }
  if (call.route.approval == ApprovalAction::kRestore) {
    return InvalidArgument(
        "a key of this environment is not replaced without the approval that deleting one takes: "
        "delete it first, then restore without force");
  }
  return std::optional<Reply>{
      KMS_TRY(Keep(call, DemandOf(call, *environment, *action, key.get())))};
}

}  // namespace kms::api
