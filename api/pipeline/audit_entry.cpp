// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/audit_entry.h"

#include <vector>

#include "kms/audit/record.h"
#include "kms/base/bytes.h"

namespace kms::api {
namespace {

std::string Joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) {
    out += (out.empty() ? "" : " ") + text;
  }
  return out;
}

std::string_view KeyOf(const RouteMatch& match) {
  if (match.route == nullptr || match.environment == nullptr) {
    return {};
  }
  for (const Capture& capture : match.Captures()) {
    if (capture.name == "name") {
      return capture.value;
    }
  }
  return {};
}

void AddPrincipal(const Principal& principal, AuditRecord& record) {
  record.accessor = principal.accessor;
  record.display_name = principal.display_name;
  record.policies = principal.policies;
  record.entity_id = principal.entity_id;
  record.token_type = TokenTypeName(principal.type);
}

}  // namespace

std::string AuditMembersOf(const Exchange& exchange, bool attempt, WallTime now) {
  const RouteMatch& match = exchange.match;
  AuditRecord record{
      .type = attempt ? AuditRecordType::kRequest : AuditRecordType::kResponse,
      .time = now,
      .request_id = exchange.id.text(),
      .operation = OperationName(match.operation),
      .path = match.path,
      .name_space = match.name_space,
      .key = KeyOf(match),
      .key_version = exchange.key_version,
      .login_name = exchange.login_name,
      .remote_address = exchange.request.remote_address,
      .remote_port = exchange.request.remote_port,
      .issued_accessor = exchange.audit.issued_accessor,
      .issued_name = exchange.audit.issued_name,
      .wrapped_accessor = exchange.audit.wrapped_accessor,
      .approval_id = exchange.audit.approval_id,
      .approved_by = exchange.audit.approved_by,
      .items = exchange.items,
      .failed_items = exchange.failed_items,
      .status = attempt ? 0 : exchange.response.status,
      .error = exchange.error,
  };
  if (exchange.principal != nullptr) {
    AddPrincipal(*exchange.principal, record);
  }
  if (match.environment != nullptr) {
    record.environment = match.environment->identity().name;
  }
  std::string context;
  if (exchange.rule != nullptr) {
    record.granting_policies = exchange.rule->policies;
    context = Joined(exchange.rule->required_context);
    record.context = context;
  }
  std::string certificate;
  if (exchange.request.certificates != nullptr) {
    certificate = HexEncode(exchange.request.certificates->leaf_digest);
    record.certificate = certificate;
  }
  if (exchange.client_address != exchange.request.remote_address) {
    record.client_address = exchange.client_address;
  }
  std::string members;
  AppendAuditMembers(record, members);
  return members;
}

}  // namespace kms::api
