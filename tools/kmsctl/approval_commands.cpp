// SPDX-License-Identifier: Apache-2.0
// kmsctl approve, kmsctl approvals list|show|cancel|result: requests that two people agree on.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/kmsctl/commands.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/output.h"

namespace kms::tools {

namespace {

struct ApprovalArguments {
  std::string id;
  std::string output_file;
  bool yes = false;
};

constexpr const char* kApprovalsPath = "/v1/sys/approvals";

std::string ApprovalPath(const ApprovalArguments& arguments) {
  return std::string(kApprovalsPath) + "/" + EncodePathSegment(arguments.id);
}

std::string PartyCell(const nlohmann::json& object, const char* name) {
  const auto party = object.find(name);
  if (party == object.end() || !party->is_object()) {
    return "-";
  }
  return Cell(*party, "display_name") + " (" + Cell(*party, "accessor") + ")";
}

std::string Shown(const nlohmann::json& data) {
  return RenderFields({
      {"request", Cell(data, "request_id")},
      {"state", Cell(data, "state")},
      {"action", Cell(data, "action")},
      {"environment", Cell(data, "environment")},
      {"method", Cell(data, "method")},
      {"path", Cell(data, "path")},
      {"query", Cell(data, "query")},
      {"body", Cell(data, "body")},
      {"digest", Cell(data, "digest")},
      {"requester", PartyCell(data, "requester")},
      {"created", Cell(data, "created")},
      {"expires", Cell(data, "expires")},
      {"decided by", PartyCell(data, "approver")},
      {"decided", Cell(data, "decided")},
      {"outcome", Cell(data, "outcome")},
      {"result waits", Cell(data, "has_result")},
  });
}

// Whoever approves has seen what it is, unless they said that they have.
Status Approve(Session& session, const ApprovalArguments& arguments) {
  if (!arguments.yes) {
    const nlohmann::json answer = KMS_TRY(session.Call("GET", ApprovalPath(arguments)));
    Note(Shown(DataOf(answer)));
    KMS_TRY(Confirm("Approve this request? It is executed at once, for its requester.", false));
  }
  const nlohmann::json answer = KMS_TRY(session.Call("POST", ApprovalPath(arguments) + "/approve"));
  const nlohmann::json& data = DataOf(answer);
  if (session.options.json) {
    KMS_TRY(Print(ToJsonLine(data) + "\n"));
  } else {
    KMS_TRY(Print(Cell(data, "state") + ": the request was answered with HTTP " +
                  Cell(data, "status") + "\n"));
  }
  if (Cell(data, "state") != "executed") {
    return FailedPrecondition("the approved request failed; it is over");
  }
  return Ok();
}

Status ListAll(Session& session) {
  const std::vector<std::string> ids = KMS_TRY(session.List(kApprovalsPath));
  if (ids.empty()) {
    if (session.options.json) {
      return Print("{}\n");
    }
    Note("no requests that concern you");
    return Ok();
  }
  const nlohmann::json answer = KMS_TRY(session.Call("LIST", kApprovalsPath));
  const auto infos = DataOf(answer).find("key_info");
  const nlohmann::json none = nlohmann::json::object();
  const nlohmann::json& all = infos != DataOf(answer).end() ? *infos : none;
  if (session.options.json) {
    return Print(ToJsonLine(all) + "\n");
  }
  Table table{{"REQUEST", "STATE", "ACTION", "PATH", "REQUESTER", "EXPIRES"}, {}};
  for (const std::string& id : ids) {
    const auto found = all.find(id);
    const nlohmann::json& info = found != all.end() ? *found : none;
    table.rows.push_back({Printable(id), Cell(info, "state"), Cell(info, "action"),
                          Cell(info, "path"), PartyCell(info, "requester"), Cell(info, "expires")});
  }
  return Print(RenderTable(table));
}

Status Show(Session& session, const ApprovalArguments& arguments) {
  const nlohmann::json answer = KMS_TRY(session.Call("GET", ApprovalPath(arguments)));
  return Print(session.options.json ? ToJsonLine(DataOf(answer)) + "\n" : Shown(DataOf(answer)));
}

Status Cancel(Session& session, const ApprovalArguments& arguments) {
  KMS_TRY(session.Call("DELETE", ApprovalPath(arguments)));
  if (session.options.json) {
    return Print(ToJsonLine({{"request_id", arguments.id}, {"cancelled", true}}) + "\n");
  }
  return Print("cancelled request " + arguments.id + "\n");
}

// The file is opened first: the result is read once.
Status ReadResult(Session& session, const ApprovalArguments& arguments) {
  OutputSink sink = KMS_TRY(OutputSink::Open(arguments.output_file));
  const nlohmann::json answer = KMS_TRY(session.Call("GET", ApprovalPath(arguments) + "/result"));
  const auto wrapped = answer.find("wrap_info");
  const bool is_wrapped = wrapped != answer.end() && wrapped->is_object();
  const std::string line = ToJsonLine(is_wrapped ? *wrapped : DataOf(answer)) + "\n";
  KMS_TRY(sink.Write(AsBytes(line)));
  return sink.Commit();
}

using Verb = Status (*)(Session&, const ApprovalArguments&);

std::shared_ptr<ApprovalArguments> TakeId(CLI::App& command, Session& session, Verb verb) {
  auto arguments = std::make_shared<ApprovalArguments>();
  command.add_option("ID", arguments->id, "The request's id")->required();
  command.callback([&session, arguments, verb] {
    session.command = [&session, arguments, verb] { return verb(session, *arguments); };
  });
  return arguments;
}

}  // namespace

void AddApprovalCommands(CLI::App& root, Session& session) {
  CLI::App& approve =
      AddCommand(root, "approve", "Approve somebody else's request; it is executed at once",
                 "  kmsctl approve 6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11\n");
  AddYesOption(approve, TakeId(approve, session, Approve)->yes);

  CLI::App& family = AddCommand(root, "approvals",
                                "Requests that wait for a second person, and what became of them",
                                "  kmsctl approvals list\n"
                                "  kmsctl approvals show 6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11\n");
  family.require_subcommand(1);
  AddCommand(family, "list", "Your requests, and those that you may approve",
             "  kmsctl approvals list\n  kmsctl approvals list --json\n")
      .callback([&session] { session.command = [&session] { return ListAll(session); }; });
  TakeId(AddCommand(family, "show", "One request, to the last parameter",
                    "  kmsctl approvals show 6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11\n"),
         session, Show);
  TakeId(AddCommand(family, "cancel", "Withdraw your request",
                    "  kmsctl approvals cancel 6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11\n"),
         session, Cancel);
  CLI::App& result = AddCommand(
      family, "result", "What your approved export or backup answered; it can be read once",
      "  kmsctl approvals result 6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11 --out key.json\n");
  result
      .add_option("-o,--out", TakeId(result, session, ReadResult)->output_file,
                  "Write to this file, mode 0600, instead of standard output")
      ->type_name("FILE");
}

}  // namespace kms::tools
