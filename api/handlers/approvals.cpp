// SPDX-License-Identifier: Apache-2.0
// sys/approvals/…: requests that wait for a second person. Who may see one is who made it and who
// may do it: to everybody else it does not exist.
#include "kms/identity/approvals.h"

#include <openssl/crypto.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_text.h"
#include "api/pipeline/json_writer.h"
#include "kms/auth/acl.h"
#include "kms/keys/names.h"

namespace kms::api {
namespace {

Error NoSuchRequest() { return NotFound("no such approval request"); }

ApprovalParty PartyOf(const Principal& principal) {
  return {.actor = principal.actor,
          .accessor = principal.accessor,
          .display_name = principal.display_name};
}

bool IsRequester(const Principal& principal, const Approval& approval) {
  return !principal.actor.empty() && principal.actor == approval.requester.actor;
}

// What the request asks for, asked for by `principal`: path, verb and parameters.
bool MayDo(const Principal& principal, const ApprovalDemand& demand) {
  if (principal.is_root) {
    return true;
  }
  const bool needs_sudo = demand.action == GuardedAction::kUnseal ||
                          demand.action == GuardedAction::kRetireMaster ||
                          demand.action == GuardedAction::kRecovery;
  if (needs_sudo && !principal.acl->Decide(demand.policy_path, Capability::kSudo).allowed) {
    return false;
  }
  const AclDecision decision = principal.acl->Decide(demand.policy_path, demand.capability);
  if (!decision.allowed || decision.rule == nullptr || decision.rule->unconditional()) {
    return decision.allowed;
  }
  std::vector<RequestParameter> parameters;
  for (const ApprovalParameter& parameter : demand.parameters) {
    parameters.push_back(
        {.name = parameter.name, .value = parameter.value, .is_scalar = parameter.is_scalar});
  }
  return CheckParameters(*decision.rule, parameters).has_value();
}

bool MaySee(const Call& call, const Approval& approval) {
  const bool addressed = call.name_space.empty() || call.name_space == approval.demand.environment;
  return addressed &&
         (IsRequester(*call.principal, approval) || MayDo(*call.principal, approval.demand));
}

Result<Approval> Visible(Call& call) {
  const Result<Uuid> id = Uuid::Parse(call.fields.Text("id"));
  if (!id) {
    return NoSuchRequest();
  }
  call.audit.approval_id = id->ToString();
  std::optional<Approval> approval = KMS_TRY(call.services.identity.approvals().Get(*id));
  if (!approval || !MaySee(call, *approval)) {
    return NoSuchRequest();
  }
  return *std::move(approval);
}

// ---- rendering ----------------------------------------------------------------------------------

void AppendTime(std::string_view name, std::int64_t unix_seconds, JsonObject& object) {
  if (unix_seconds == 0) {
    object.Null(name);
    return;
  }
  object.String(name, ToRfc3339(WallTime{std::chrono::seconds{unix_seconds}}));
}

void AppendParty(std::string_view name, const ApprovalParty& party, JsonObject& object,
                 std::string& out) {
  if (party.accessor.empty()) {
    object.Null(name);
    return;
  }
  object.Key(name);
  JsonObject member(out);
  member.String("display_name", party.display_name);
  member.String("accessor", party.accessor);
  member.Close();
}

void AppendSummary(const Approval& approval, std::int64_t now, JsonObject& object,
                   std::string& out) {
  object.String("state", approval.StateName(now));
  object.String("action", GuardedActionName(approval.demand.action));
  object.String("environment", approval.demand.environment);
  object.String("method", approval.demand.method);
  object.String("path", approval.demand.policy_path);
  AppendParty("requester", approval.requester, object, out);
  AppendTime("created", approval.created_unix_seconds, object);
  AppendTime("expires", approval.expires_unix_seconds, object);
}

std::string_view OutcomeName(ApprovalStage stage) {
  switch (stage) {
    case ApprovalStage::kApproved: return "unknown";
    case ApprovalStage::kExecuted: return "success";
    case ApprovalStage::kFailed: return "error";
    case ApprovalStage::kPending:
    case ApprovalStage::kCancelled: break;
  }
  return "none";
}

// Whoever approves must see what it is, to the last parameter.
std::string Describe(const Approval& approval, std::int64_t now) {
  std::string out;
  JsonObject object(out);
  object.String("request_id", approval.id.ToString());
  AppendSummary(approval, now, object, out);
  object.String("query", approval.demand.query);
  object.String("body", AsText(approval.demand.body.View()));
  object.String("wrap_ttl", approval.demand.wrap_ttl);
  object.String("digest", HexEncode(approval.demand.Digest()));
  AppendParty("approver", approval.approver, object, out);
  AppendTime("decided", approval.decided_unix_seconds, object);
  object.String("outcome", OutcomeName(approval.stage));
  object.Integer("status", approval.status);
  object.Boolean("has_result", approval.has_result);
  object.Close();
  return out;
}

// ---- executing ----------------------------------------------------------------------------------

// What was asked for is still there: neither environment nor key is another of the same name.
Status CheckTarget(const Call& call, const ApprovalDemand& demand) {
  const std::shared_ptr<Environment> environment =
      call.services.environments.Find(demand.environment);
  if (environment == nullptr || environment->identity().id != demand.environment_id) {
    return InvalidArgument("the environment of the request does not exist any more");
  }
  if (demand.key_name.empty()) {
    return Ok();
  }
  const KeyName name = KMS_TRY(KeyName::Parse(demand.key_name));
  const KeyHandle key = KMS_TRY(environment->FindKey(name));
  if (key == nullptr || key->policy().incarnation != demand.key) {
    return InvalidArgument("the key of the request does not exist any more");
  }
  return Ok();
}

// The requester, if the token that asked is still good.
Result<PrincipalHandle> RequesterNow(const Call& call, const Approval& approval) {
  Error gone = InvalidArgument("the token that made the request is no longer good");
  Result<PrincipalHandle> found =
      call.services.identity.tokens().LookupAccessor(approval.requester.accessor);
  if (!found) {
    return found.error().code == ErrorCode::kNotFound ? gone : found.error();
  }
  const Principal& requester = **found;
  const bool expired = requester.expires_unix_seconds != 0 &&
                       requester.expires_unix_seconds <= ToUnixSeconds(call.services.clock.Now());
  if (expired || requester.actor != approval.requester.actor) {
    return gone;
  }
  return *std::move(found);
}

HttpMethod MethodOf(std::string_view name) {
  if (name == "GET") {
    return HttpMethod::kGet;
  }
  return name == "DELETE" ? HttpMethod::kDelete : HttpMethod::kPost;
}

// What comes back is for the requester alone.
bool HasResult(const Approval& approval) {
  return approval.demand.action == GuardedAction::kExport ||
         approval.demand.action == GuardedAction::kBackup;
}

Result<int> Execute(Call& call, const Approval& claimed, PrincipalHandle requester) {
  const ApprovalDemand& demand = claimed.demand;
  ExecutedRequest executed = call.execute({.method = MethodOf(demand.method),
                                           .path = demand.path,
                                           .query = demand.query,
                                           .wrap_ttl = demand.wrap_ttl,
                                           .body = AsText(demand.body.View()),
                                           .requester = std::move(requester),
                                           .approval_id = claimed.id.ToString(),
                                           .approved_by = claimed.approver.accessor});
  const std::string_view result = HasResult(claimed) ? executed.body : std::string_view();
  const Status recorded = call.services.identity.approvals().Finish(
      claimed, {.status = executed.status, .result = result});
  OPENSSL_cleanse(executed.body.data(), executed.body.size());
  if (!recorded) {
    return MakeError(ErrorCode::kOutcomeUnknown,
                     "the request was executed, but how it ended could not be stored",
                     recorded.error().detail);
  }
  return executed.status;
}

}  // namespace

Result<Reply> HandleListApprovals(Call& call) {
  Approvals& approvals = call.services.identity.approvals();
  const std::vector<Approval> all = KMS_TRY(approvals.List());
  std::string keys;
  std::string infos;
  JsonArray array(keys);
  JsonObject object(infos);
  bool any = false;
  for (const Approval& approval : all) {
    if (!MaySee(call, approval)) {
      continue;
    }
    any = true;
    const std::string id = approval.id.ToString();
    AppendJsonString(id, array.Next());
    object.Key(id);
    JsonObject info(infos);
    AppendSummary(approval, approvals.Now(), info, infos);
    info.Close();
  }
  array.Close();
  object.Close();
  if (!any) {
    return Reply::Absent();
  }
  return Reply::Data(R"({"keys":)" + keys + R"(,"key_info":)" + infos + "}");
}

Result<Reply> HandleReadApproval(Call& call) {
  const Approval approval = KMS_TRY(Visible(call));
  return Reply::Data(Describe(approval, call.services.identity.approvals().Now()));
}

Result<Reply> HandleApprove(Call& call) {
  const Approval approval = KMS_TRY(Visible(call));
  if (!MayDo(*call.principal, approval.demand)) {  // only the requester gets as far without it
    return MakeError(ErrorCode::kPermissionDenied, "permission denied");
  }
  KMS_TRY(CheckTarget(call, approval.demand));
  PrincipalHandle requester = KMS_TRY(RequesterNow(call, approval));
  const Approval claimed =
      KMS_TRY(call.services.identity.approvals().Claim(approval.id, PartyOf(*call.principal)));
  call.audit.approved_by = claimed.approver.accessor;
  const int status = KMS_TRY(Execute(call, claimed, std::move(requester)));
  std::string out;
  JsonObject object(out);
  object.String("request_id", claimed.id.ToString());
  object.String("state", status < 300 ? "executed" : "failed");
  object.Integer("status", status);
  object.Close();
  return Reply::Data(std::move(out));
}

Result<Reply> HandleCancelApproval(Call& call) {
  const Approval approval = KMS_TRY(Visible(call));
  if (!IsRequester(*call.principal, approval) && !call.May(Capability::kSudo)) {
    return MakeError(ErrorCode::kPermissionDenied,
                     "a request is cancelled by who made it, or with sudo");
  }
  KMS_TRY(call.services.identity.approvals().Cancel(approval.id, PartyOf(*call.principal)));
  return Reply::NoContent();
}

Result<Reply> HandleApprovalResult(Call& call) {
  const Approval approval = KMS_TRY(Visible(call));
  // A child of the requester's token may be somebody else with fewer rights.
  if (!IsRequester(*call.principal, approval) || !MayDo(*call.principal, approval.demand)) {
    return MakeError(ErrorCode::kPermissionDenied, "the result is for who made the request");
  }
  const SecretBytes kept = KMS_TRY(call.services.identity.approvals().TakeResult(approval.id));
  const JsonBody answer = KMS_TRY(JsonBody::Parse(AsText(kept.View()), call.services.options.json));
  Reply reply;
  reply.holds_secret = true;
  const JsonView wrap_info = answer.root().Find("wrap_info");
  const bool wrapped = !wrap_info.is_null();
  std::string& out = wrapped ? reply.wrap_info : reply.data;
  reply.kind = wrapped ? Reply::Kind::kWrapped : Reply::Kind::kData;
  out.reserve(kept.size() + 64);
  AppendJson(wrapped ? wrap_info : answer.root().Find("data"), out);
  return reply;
}

}  // namespace kms::api
