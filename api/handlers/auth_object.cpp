// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/auth_object.h"

#include <algorithm>
#include <chrono>

#include "kms/base/clock.h"

namespace kms::api {
namespace {

std::int64_t RemainingSeconds(const Principal& principal, std::int64_t now_unix_seconds) {
  return principal.expires_unix_seconds == 0
             ? 0
             : std::max<std::int64_t>(0, principal.expires_unix_seconds - now_unix_seconds);
}

std::string_view TypeName(TokenType type) {
  return type == TokenType::kBatch ? "batch" : "service";
}

std::string Rfc3339(std::int64_t unix_seconds) {
  return ToRfc3339(WallTime{std::chrono::seconds{unix_seconds}});
}

// Room for the token, so that no half of it is left behind by a string that grew.
void ReserveFor(std::string_view token, std::string& out) { out.reserve(4096 + 2 * token.size()); }

void AppendOptionalInfo(const Principal& principal, JsonObject& object, std::string& out) {
  if (!principal.role.empty()) {
    object.String("role", principal.role);
  }
  if (principal.period_seconds != 0) {
    object.Integer("period", principal.period_seconds);
  }
  if (principal.last_renewal_unix_seconds != 0) {
    object.String("last_renewal", Rfc3339(principal.last_renewal_unix_seconds));
    object.Integer("last_renewal_time", principal.last_renewal_unix_seconds);
  }
  if (!principal.bound_cidrs.empty()) {
    std::vector<std::string> blocks;
    for (const CidrBlock& block : principal.bound_cidrs) {
      blocks.push_back(block.ToText());
    }
    AppendTexts("bound_cidrs", blocks, object, out);
  }
}

}  // namespace

void AppendMetadata(std::string_view key, const std::map<std::string, std::string>& metadata,
                    JsonObject& object, std::string& out) {
  if (metadata.empty()) {
    object.Null(key);
    return;
  }
  object.Key(key);
  JsonObject members(out);
  for (const auto& [name, value] : metadata) {
    members.String(name, value);
  }
  members.Close();
}

Reply ReplyWithAuth(const Principal& principal, std::string_view client_token,
                    std::int64_t now_unix_seconds) {
  Reply reply;
  std::string& out = reply.auth;
  ReserveFor(client_token, out);
  JsonObject object(out);
  object.String("client_token", client_token);
  object.String("accessor", principal.accessor);
  AppendTexts("policies", principal.policies, object, out);
  AppendTexts("token_policies", principal.policies, object, out);
  AppendMetadata("metadata", principal.metadata, object, out);
  object.Integer("lease_duration", RemainingSeconds(principal, now_unix_seconds));
  object.Boolean("renewable", principal.renewable);
  object.String("entity_id", principal.entity_id);
  object.String("token_type", TypeName(principal.type));
  object.Boolean("orphan", principal.orphan);
  object.Null("mfa_requirement");
  object.Integer("num_uses", principal.num_uses);
  object.Close();
  reply.holds_secret = true;
  return reply;
}

Reply ReplyWithTokenInfo(const Principal& principal, std::string_view token, std::int64_t uses_left,
                         std::int64_t now_unix_seconds) {
  std::string out;
  ReserveFor(token, out);
  JsonObject object(out);
  object.String("id", token);
  object.String("accessor", principal.accessor);
  AppendTexts("policies", principal.policies, object, out);
  object.String("path", principal.path);
  AppendMetadata("meta", principal.metadata, object, out);
  object.String("display_name", principal.display_name);
  object.Integer("num_uses", uses_left);
  object.Boolean("orphan", principal.orphan);
  object.Integer("creation_time", principal.created_unix_seconds);
  object.Integer("creation_ttl", principal.creation_ttl_seconds);
  if (principal.expires_unix_seconds == 0) {
    object.Null("expire_time");
  } else {
    object.String("expire_time", Rfc3339(principal.expires_unix_seconds));
  }
  object.String("issue_time", Rfc3339(principal.created_unix_seconds));
  object.Integer("ttl", RemainingSeconds(principal, now_unix_seconds));
  object.Integer("explicit_max_ttl", principal.explicit_max_ttl_seconds);
  object.String("entity_id", principal.entity_id);
  object.String("type", TypeName(principal.type));
  object.Boolean("renewable", principal.renewable);
  AppendOptionalInfo(principal, object, out);
  object.Close();
  Reply reply = Reply::Data(std::move(out));
  reply.holds_secret = true;
  return reply;
}

}  // namespace kms::api
