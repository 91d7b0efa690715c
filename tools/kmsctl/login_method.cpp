// SPDX-License-Identifier: Apache-2.0
#include "tools/kmsctl/login_method.h"

#include <nlohmann/json.hpp>

#include "tools/kmsctl/http_client.h"

namespace kms::tools {

void AddTokenSettings(CLI::App& command, TokenSettings& settings) {
  command.add_option("--policy", settings.policies, "Policy of its tokens; may be repeated")
      ->type_name("NAME")
      ->delimiter(',');
  command.add_option("--ttl", settings.ttl, "Life of its tokens, for example 1h")
      ->type_name("DURATION");
  command.add_option("--max-ttl", settings.max_ttl, "Longest life with renewals")
      ->type_name("DURATION");
  command.add_option("--period", settings.period, "Each renewal gives that long again")
      ->type_name("DURATION");
  command.add_option("--num-uses", settings.num_uses, "Requests each token is good for; 0: any")
      ->type_name("N");
  command.add_option("--bound-cidr", settings.bound_cidrs, "Where its tokens may be used from")
      ->type_name("BLOCK")
      ->delimiter(',');
}

void PutTokenSettings(const TokenSettings& settings, nlohmann::json& body) {
  if (!settings.policies.empty()) {
    body["token_policies"] = settings.policies;
  }
  if (settings.ttl) {
    body["token_ttl"] = *settings.ttl;
  }
  if (settings.max_ttl) {
    body["token_max_ttl"] = *settings.max_ttl;
  }
  if (settings.period) {
    body["token_period"] = *settings.period;
  }
  if (settings.num_uses) {
    body["token_num_uses"] = *settings.num_uses;
  }
  if (!settings.bound_cidrs.empty()) {
    body["token_bound_cidrs"] = settings.bound_cidrs;
  }
}

std::string ListCell(const nlohmann::json& object, const char* name) {
  const auto list = object.find(name);
  std::string cell;
  if (list != object.end() && list->is_array()) {
    for (const nlohmann::json& item : *list) {
      if (item.is_string()) {
        cell += (cell.empty() ? "" : ", ") + Printable(item.get_ref<const std::string&>());
      }
    }
  }
  return cell.empty() ? "-" : cell;
}

void AppendTokenSettings(const nlohmann::json& data, std::vector<Field>& fields) {
  fields.emplace_back("policies", ListCell(data, "token_policies"));
  fields.emplace_back("token ttl", Cell(data, "token_ttl"));
  fields.emplace_back("token max ttl", Cell(data, "token_max_ttl"));
  fields.emplace_back("token period", Cell(data, "token_period"));
  fields.emplace_back("token uses", Cell(data, "token_num_uses"));
  fields.emplace_back("token bound to", ListCell(data, "token_bound_cidrs"));
}

void AddMountOption(CLI::App& command, std::string& mount, const char* method) {
  mount = method;
  command.add_option("--mount", mount, "Where the method is enabled, if not at its name")
      ->type_name("PATH");
}

std::string AuthPath(const std::string& mount, const std::string& rest) {
  return "/v1/auth/" + EncodePath(mount) + "/" + rest;
}

Status PrintDone(const Session& session, const char* done, std::string_view kind,
                 const std::string& name) {
  if (session.options.json) {
    return Print(ToJsonLine({{"name", name}, {done, true}}) + "\n");
  }
  return Print(std::string(done) + " " + std::string(kind) + " " + Printable(name) + "\n");
}

Status PrintNames(const Session& session, const std::vector<std::string>& names,
                  std::string_view hint) {
  if (session.options.json) {
    return Print(ToJsonLine(names) + "\n");
  }
  if (names.empty()) {
    Note(hint);
    return Ok();
  }
  std::string lines;
  for (const std::string& name : names) {
    lines += Printable(name) + "\n";
  }
  return Print(lines);
}

}  // namespace kms::tools
