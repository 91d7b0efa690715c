// SPDX-License-Identifier: Apache-2.0
// kmsctl cert write|list|read|delete, kmsctl crl write|list|read|delete: who logs in with a client
// certificate, and which are revoked.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct CertArguments {
  std::string mount = "cert";
  std::string name;
  std::string file;
  std::vector<std::string> policies;
  std::vector<std::string> common_names;
  std::vector<std::string> dns_names;
  std::vector<std::string> email_addresses;
  std::vector<std::string> uris;
  std::vector<std::string> organizational_units;
  std::vector<std::string> required_extensions;
  std::optional<std::string> display_name;
  std::optional<std::string> ttl;
  bool yes = false;
};

std::string PathOf(const CertArguments& arguments, const char* kind) {
  const std::string family = "/v1/auth/" + EncodePath(arguments.mount) + "/" + kind;
  return arguments.name.empty() ? family : family + "/" + EncodePathSegment(arguments.name);
}

Status Say(const Session& session, const CertArguments& arguments, const char* what,
           const char* done) {
  if (session.options.json) {
    return Print(ToJsonLine({{"name", arguments.name}, {done, true}}) + "\n");
  }
  return Print(std::string(done) + " " + what + " " + arguments.name + "\n");
}

Status WriteEntry(Session& session, const CertArguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  if (!arguments.file.empty()) {
    const PlaintextBuffer pem = KMS_TRY(ReadInput({.argument = {}, .file = arguments.file}));
    body["certificate"] = AsText(pem.View());
  }
  for (const auto& [field, list] :
       {std::pair{"token_policies", &arguments.policies},
        std::pair{"allowed_common_names", &arguments.common_names},
        std::pair{"allowed_dns_sans", &arguments.dns_names},
        std::pair{"allowed_email_sans", &arguments.email_addresses},
        std::pair{"allowed_uri_sans", &arguments.uris},
        std::pair{"allowed_organizational_units", &arguments.organizational_units},
        std::pair{"required_extensions", &arguments.required_extensions}}) {
    if (!list->empty()) {
      body[field] = *list;
    }
  }
  if (arguments.display_name) {
    body["display_name"] = *arguments.display_name;
  }
  if (arguments.ttl) {
    body["token_ttl"] = *arguments.ttl;
  }
  KMS_TRY(session.Call("POST", PathOf(arguments, "certs"), body));
  return Say(session, arguments, "certificate", "wrote");
}

Status WriteList(Session& session, const CertArguments& arguments) {
  const PlaintextBuffer pem = KMS_TRY(ReadInput({.argument = {}, .file = arguments.file}));
  if (AsText(pem.View()).find("-----BEGIN") == std::string_view::npos) {
    return InvalidArgument(
        "the list is not PEM; convert it with `openssl crl -inform DER -in FILE`");
  }
  KMS_TRY(session.Call("POST", PathOf(arguments, "crls"), {{"crl", AsText(pem.View())}}));
  return Say(session, arguments, "revocation list", "wrote");
}

std::string Joined(const nlohmann::json& data, const char* field) {
  std::string text;
  for (const nlohmann::json& item : data.value(field, nlohmann::json::array())) {
    text += text.empty() ? "" : ", ";
    text += item.is_string() ? Printable(item.get_ref<const std::string&>()) : "?";
  }
  return text.empty() ? "-" : text;
}

Status ReadEntry(Session& session, const CertArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", PathOf(arguments, "certs")));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  KMS_TRY(Print(RenderFields({
      {"name", arguments.name},
      {"display name", Cell(data, "display_name")},
      {"policies", Joined(data, "token_policies")},
      {"seconds", Cell(data, "token_ttl")},
      {"common names", Joined(data, "allowed_common_names")},
      {"DNS names", Joined(data, "allowed_dns_sans")},
      {"email addresses", Joined(data, "allowed_email_sans")},
      {"URIs", Joined(data, "allowed_uri_sans")},
      {"units", Joined(data, "allowed_organizational_units")},
      {"extensions", Joined(data, "required_extensions")},
  })));
  const auto pem = data.find("certificate");
  return pem != data.end() && pem->is_string() ? Print(pem->get<std::string>()) : Ok();
}

Status ReadList(Session& session, const CertArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", PathOf(arguments, "crls")));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    return Print(ToJsonLine(data) + "\n");
  }
  std::string serials;
  const nlohmann::json revoked = data.value("serials", nlohmann::json::object());
  for (const auto& [serial, details] : revoked.items()) {
    serials += (serials.empty() ? "" : ", ") + Printable(serial);
  }
  return Print(RenderFields({
      {"name", arguments.name},
      {"issuer", Cell(data, "issuer")},
      {"this update", Cell(data, "this_update")},
      {"next update", Cell(data, "next_update")},
      {"revoked", Cell(data, "revoked")},
      {"serials", serials.empty() ? "-" : serials},
  }));
}

Status ListNames(Session& session, const CertArguments& arguments, const char* kind) {
  const std::vector<std::string> names = KMS_TRY(session.List(PathOf(arguments, kind)));
  if (session.options.json) {
    return Print(ToJsonLine(names) + "\n");
  }
  std::string text;
  for (const std::string& name : names) {
    text += Printable(name) + "\n";
  }
  return Print(text);
}

Status ListEntries(Session& session, const CertArguments& arguments) {
  return ListNames(session, arguments, "certs");
}

Status ListLists(Session& session, const CertArguments& arguments) {
  return ListNames(session, arguments, "crls");
}

Status DeleteEntry(Session& session, const CertArguments& arguments) {
  KMS_TRY(Confirm("Delete certificate " + arguments.name + " and revoke the tokens of its logins?",
                  arguments.yes));
  KMS_TRY(session.Call("DELETE", PathOf(arguments, "certs")));
  return Say(session, arguments, "certificate", "deleted");
}

Status DeleteList(Session& session, const CertArguments& arguments) {
  KMS_TRY(
      Confirm("Delete revocation list " + arguments.name + "? What it revokes can log in again.",
              arguments.yes));
  KMS_TRY(session.Call("DELETE", PathOf(arguments, "crls")));
  return Say(session, arguments, "revocation list", "deleted");
}

using Verb = Status (*)(Session&, const CertArguments&);

std::shared_ptr<CertArguments> TakeMount(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<CertArguments>();
  command.add_option("--mount", arguments->mount, "Where the method is enabled; default cert")
      ->type_name("PATH");
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

std::shared_ptr<CertArguments> TakeName(CLI::App& command, Session& session, Verb verb) {
  auto arguments = TakeMount(command, session, verb);
  command.add_option("NAME", arguments->name, "Name of the entry")->required();
  return arguments;
}

void AddWriteEntry(CLI::App& family, Session& session) {
  CLI::App& write = AddCommand(
      family, "write", "Trust a client certificate, or an authority's",
      "  kmsctl cert write apps --certificate ca.pem --policy orders --dns-name '*.example.com'\n"
      "  kmsctl cert write backup --certificate backup-host.pem --policy backup\n");
  const auto arguments = TakeName(write, session, WriteEntry);
  write.add_option("--certificate", arguments->file, "PEM file; needed when the entry is new")
      ->type_name("FILE");
  for (const auto& [option, list, text] :
       {std::tuple{"--policy", &arguments->policies, "Policy of its tokens; may be repeated"},
        std::tuple{"--common-name", &arguments->common_names,
                   "Common name that may log in, with *"},
        std::tuple{"--dns-name", &arguments->dns_names, "DNS name that may log in, with *"},
        std::tuple{"--email", &arguments->email_addresses, "Email address that may log in, with *"},
        std::tuple{"--uri", &arguments->uris, "URI that may log in, with *"},
        std::tuple{"--unit", &arguments->organizational_units,
                   "Organizational unit that may log in, with *"},
        std::tuple{"--extension", &arguments->required_extensions,
                   "Extension it must have, as OID:VALUE"}}) {
    write.add_option(option, *list, text)->type_name("TEXT")->expected(1)->take_all();
  }
  write.add_option("--display-name", arguments->display_name, "Name shown of its tokens")
      ->type_name("TEXT");
  write.add_option("--ttl", arguments->ttl, "How long its tokens live, as 1h")->type_name("TIME");
}

}  // namespace

void AddClientCertificateCommands(CLI::App& root, Session& session) {
  CLI::App& entries = AddCommand(root, "cert", "Client certificates that may log in",
                                 "  kmsctl cert list\n  kmsctl cert read apps\n");
  entries.require_subcommand(1);
  AddWriteEntry(entries, session);
  TakeMount(AddCommand(entries, "list", "List the entries", "  kmsctl cert list\n"), session,
            ListEntries);
  TakeName(AddCommand(entries, "read", "Show one entry", "  kmsctl cert read apps\n"), session,
           ReadEntry);
  CLI::App& remove = AddCommand(entries, "delete", "Delete an entry, revoke its tokens",
                                "  kmsctl cert delete apps --yes\n");
  AddYesOption(remove, TakeName(remove, session, DeleteEntry)->yes);

  CLI::App& lists = AddCommand(root, "crl", "Certificates that may no longer log in",
                               "  kmsctl crl write ca < ca-crl.pem\n");
  lists.require_subcommand(1);
  CLI::App& write = AddCommand(lists, "write", "Upload a revocation list, or a newer one",
                               "  kmsctl crl write ca --crl ca-crl.pem\n"
                               "  openssl crl -inform DER -in ca.crl | kmsctl crl write ca\n");
  write
      .add_option("--crl", TakeName(write, session, WriteList)->file,
                  "PEM file; default: standard input")
      ->type_name("FILE");
  TakeMount(AddCommand(lists, "list", "List the revocation lists", "  kmsctl crl list\n"), session,
            ListLists);
  TakeName(AddCommand(lists, "read", "Show one list", "  kmsctl crl read ca\n"), session, ReadList);
  CLI::App& drop = AddCommand(lists, "delete", "Delete a list", "  kmsctl crl delete ca --yes\n");
  AddYesOption(drop, TakeName(drop, session, DeleteList)->yes);
}

}  // namespace kms::tools
