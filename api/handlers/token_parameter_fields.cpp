// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/token_parameter_fields.h"

#include "api/handlers/auth_object.h"
#include "kms/auth/identity_name.h"

namespace kms::api {
namespace {

constexpr std::array<std::string_view, 3> kNeverGranted = {"root", "response-wrapping",
                                                           "control-group"};

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

void AppendItem(std::string_view text, std::vector<std::string>& items) {
  if (const std::string_view item = Trimmed(text); !item.empty()) {
    items.emplace_back(item);
  }
}

void AppendItems(std::string_view text, std::vector<std::string>& items) {
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    AppendItem(text.substr(0, comma), items);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
}

// The one of two names that was given; the first when neither was.
std::string_view Given(const Fields& fields, std::string_view name, std::string_view old_name) {
  return !fields.Has(name) && fields.Has(old_name) ? old_name : name;
}

void ApplyInteger(const Fields& fields, std::string_view name, std::string_view old_name,
                  std::int64_t& value) {
  value = fields.OptionalInteger(Given(fields, name, old_name)).value_or(value);
}

Status ApplyPolicies(const Fields& fields, TokenParameters& parameters) {
  const std::string_view name = Given(fields, "token_policies", "policies");
  if (!fields.Has(name)) {
    return Ok();
  }
  const std::vector<std::string> texts = KMS_TRY(ListField(fields, name));
  std::vector<std::string> policies = KMS_TRY(PolicyNames(texts));
  for (const std::string_view never : kNeverGranted) {
    if (std::ranges::binary_search(policies, never)) {
      return InvalidArgument("auth methods cannot grant the policy \"" + std::string(never) + "\"");
    }
  }
  std::erase(policies, "default");
  parameters.policies = std::move(policies);
  return Ok();
}

Status CheckTogether(const TokenParameters& parameters) {
  if (parameters.num_uses < 0) {
    return InvalidArgument("'token_num_uses' cannot be negative");
  }
  if (parameters.max_ttl_seconds != 0 && parameters.ttl_seconds > parameters.max_ttl_seconds) {
    return InvalidArgument("'token_ttl' cannot be greater than 'token_max_ttl'");
  }
  if (parameters.type != GrantedTokenType::kBatch) {
    return Ok();
  }
  if (parameters.num_uses != 0) {
    return InvalidArgument(
        "'token_type' cannot be 'batch' when set to generate tokens with limited use count");
  }
  if (parameters.period_seconds != 0) {
    return InvalidArgument("'token_type' cannot be 'batch' when set to generate periodic tokens");
  }
  return Ok();
}

}  // namespace

Result<std::vector<std::string>> ListField(const Fields& fields, std::string_view name) {
  const JsonView value = fields.Tree(name);
  std::vector<std::string> items;
  if (value.kind() == JsonKind::kString) {
    AppendItems(value.String(), items);
    return items;
  }
  for (std::size_t index = 0; index < value.size(); ++index) {
    const JsonView item = value.At(index);
    if (value.kind() != JsonKind::kArray || item.kind() != JsonKind::kString) {
      return InvalidArgument("'" + std::string(name) + "' must be a list of strings");
    }
    AppendItem(item.String(), items);
  }
  if (value.kind() != JsonKind::kArray && !value.is_null()) {
    return InvalidArgument("'" + std::string(name) + "' must be a list of strings");
  }
  return items;
}

Result<std::vector<std::string>> PolicyNames(const std::vector<std::string>& texts) {
  std::vector<std::string> names;
  for (const std::string& text : texts) {
    const IdentityName name = KMS_TRY(IdentityName::Parse(text));
    names.push_back(name.text());
  }
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  return names;
}

Result<std::vector<CidrBlock>> CidrField(const Fields& fields, std::string_view name) {
  std::vector<CidrBlock> blocks;
  const std::vector<std::string> texts = KMS_TRY(ListField(fields, name));
  for (const std::string& text : texts) {
    const Result<CidrBlock> block = CidrBlock::Parse(text);
    if (!block.has_value()) {
      return InvalidArgument("'" + std::string(name) + "' has an invalid CIDR block");
    }
    blocks.push_back(*block);
  }
  return blocks;
}

Result<GrantedTokenType> ParseTokenType(std::string_view text) {
  if (text.empty() || text == "default") {
    return GrantedTokenType::kDefault;
  }
  if (text == "service" || text == "default-service") {
    return GrantedTokenType::kService;
  }
  if (text == "batch" || text == "default-batch") {
    return GrantedTokenType::kBatch;
  }
  return InvalidArgument("invalid 'token_type' value: it is \"default\", \"service\" or \"batch\"");
}

Status ApplyTokenParameters(const Fields& fields, TokenParameters& parameters) {
  TokenParameters wanted = parameters;
  ApplyInteger(fields, "token_ttl", "ttl", wanted.ttl_seconds);
  ApplyInteger(fields, "token_max_ttl", "max_ttl", wanted.max_ttl_seconds);
  ApplyInteger(fields, "token_explicit_max_ttl", "", wanted.explicit_max_ttl_seconds);
  ApplyInteger(fields, "token_period", "period", wanted.period_seconds);
  ApplyInteger(fields, "token_num_uses", "num_uses", wanted.num_uses);
  wanted.no_default_policy =
      fields.OptionalBoolean("token_no_default_policy").value_or(wanted.no_default_policy);
  wanted.strictly_bind_ip =
      fields.OptionalBoolean("token_strictly_bind_ip").value_or(wanted.strictly_bind_ip);
  KMS_TRY(ApplyPolicies(fields, wanted));
  if (const std::string_view name = Given(fields, "token_bound_cidrs", "bound_cidrs");
      fields.Has(name)) {
    wanted.bound_cidrs = KMS_TRY(CidrField(fields, name));
  }
  if (fields.Has("token_type")) {
    wanted.type = KMS_TRY(ParseTokenType(fields.Text("token_type")));
  }
  KMS_TRY(CheckTogether(wanted));
  parameters = std::move(wanted);
  return Ok();
}

void AppendTokenParameters(const TokenParameters& parameters, JsonObject& object,
                           std::string& out) {
  std::vector<std::string> blocks;
  for (const CidrBlock& block : parameters.bound_cidrs) {
    blocks.push_back(block.ToText());
  }
  constexpr std::array<std::string_view, 3> kTypes = {"default", "service", "batch"};
  AppendTexts("token_bound_cidrs", blocks, object, out);
  object.Integer("token_explicit_max_ttl", parameters.explicit_max_ttl_seconds);
  object.Integer("token_max_ttl", parameters.max_ttl_seconds);
  object.Boolean("token_no_default_policy", parameters.no_default_policy);
  object.Integer("token_num_uses", parameters.num_uses);
  object.Integer("token_period", parameters.period_seconds);
  AppendTexts("token_policies", parameters.policies, object, out);
  object.Boolean("token_strictly_bind_ip", parameters.strictly_bind_ip);
  object.Integer("token_ttl", parameters.ttl_seconds);
  object.String("token_type", kTypes[static_cast<std::size_t>(parameters.type)]);
}

}  // namespace kms::api
