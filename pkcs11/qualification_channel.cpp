// SPDX-License-Identifier: Apache-2.0
// Packets of JSON. Both ends are this program, but the library in the child may have written
// anything into its memory: what the parent receives is checked.
#include "pkcs11/qualification_channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "kms/base/bytes.h"

namespace kms::pkcs11 {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLargestPacket = 64U << 10U;
// Of one text: a report has dozens, and a broken library may say anything.
constexpr std::size_t kLongestText = 2000;

Error Malformed() { return InvalidArgument("the child of the test sent something else"); }

Status SendPacket(int socket, const Json& document) {
  const std::string packet = document.dump(-1, ' ', true, Json::error_handler_t::replace);
  while (::send(socket, packet.data(), packet.size(), MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) {
      return Unavailable("the other end of the test is gone", std::strerror(errno));
    }
  }
  return Ok();
}

Status AwaitPacket(int socket, Deadline deadline) {
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd readable{.fd = socket, .events = POLLIN, .revents = 0};
    const int count = ::poll(&readable, 1, static_cast<int>(std::max<long>(left.count(), 0)));
    if (count > 0) return Ok();
    if (count == 0) return MakeError(ErrorCode::kResourceExhausted, "nothing was heard in time");
  }
}

Result<Json> ReceivePacket(int socket) {
  std::vector<char> packet(kLargestPacket);
  while (true) {
    const ssize_t size = ::recv(socket, packet.data(), packet.size(), 0);
    if (size > 0) {
      Json document = Json::parse(packet.data(), packet.data() + size, nullptr,
                                  /*allow_exceptions=*/false);
      if (!document.is_object()) return Malformed();
      return document;
    }
    if (size == 0 || errno != EINTR) return Unavailable("the other end of the test is gone");
  }
}

std::string TextOf(const Json& document, const char* name) {
  const auto found = document.find(name);
  if (found == document.end() || !found->is_string()) return {};
  return found->get<std::string>().substr(0, kLongestText);
}

template <typename Number>
Number NumberOf(const Json& document, const char* name) {
  const auto found = document.find(name);
  return found != document.end() && found->is_number() ? found->get<Number>() : Number{};
}

bool FlagOf(const Json& document, const char* name) {
  const auto found = document.find(name);
  return found != document.end() && found->is_boolean() && found->get<bool>();
}

struct Encoder {
  Json operator()(const StepBegins& begins) const {
    return {{"kind", "begin"}, {"step", begins.step}};
  }
  Json operator()(const Finding& finding) const {
    return {{"kind", "finding"},
            {"section", finding.section},
            {"name", finding.name},
            {"mark", static_cast<int>(finding.mark)},
            {"text", finding.text.substr(0, kLongestText)}};
  }
  Json operator()(const MeasuredRate& rate) const {
    return {{"kind", "rate"},
            {"operation", rate.operation},
            {"threads", rate.threads},
            {"operations", rate.operations},
            {"failures", rate.failures},
            {"per_second", rate.per_second},
            {"p50", rate.p50},
            {"p95", rate.p95},
            {"p99", rate.p99},
            {"longest", rate.longest}};
  }
  Json operator()(const LearntFact& fact) const {
    return {{"kind", "fact"}, {"name", fact.name}, {"value", fact.value}};
  }
  Json operator()(const TestsEnd& end) const {
    return {{"kind", "end"}, {"complete", end.complete}};
  }
};

Result<QualificationMessage> Decode(const Json& document) {
  const std::string kind = TextOf(document, "kind");
  if (kind == "begin")
    return QualificationMessage(StepBegins{NumberOf<std::size_t>(document, "step")});
  if (kind == "finding") {
    const int mark = std::clamp(NumberOf<int>(document, "mark"), 0, static_cast<int>(Mark::kBad));
    return QualificationMessage(Finding{.section = TextOf(document, "section"),
                                        .name = TextOf(document, "name"),
                                        .mark = static_cast<Mark>(mark),
                                        .text = TextOf(document, "text")});
  }
  if (kind == "rate") {
    return QualificationMessage(
        MeasuredRate{.operation = TextOf(document, "operation"),
                     .threads = NumberOf<std::uint32_t>(document, "threads"),
                     .operations = NumberOf<std::uint64_t>(document, "operations"),
                     .failures = NumberOf<std::uint64_t>(document, "failures"),
                     .per_second = NumberOf<double>(document, "per_second"),
                     .p50 = NumberOf<double>(document, "p50"),
                     .p95 = NumberOf<double>(document, "p95"),
                     .p99 = NumberOf<double>(document, "p99"),
                     .longest = NumberOf<double>(document, "longest")});
  }
  if (kind == "fact") {
    return QualificationMessage(LearntFact{TextOf(document, "name"), TextOf(document, "value")});
  }
  if (kind == "end") return QualificationMessage(TestsEnd{FlagOf(document, "complete")});
  return Malformed();
}

}  // namespace

Status SendTask(int socket, const QualificationTask& task) {
  const TokenOptions& token = task.token;
  return SendPacket(socket, {{"module", token.module_path},
                             {"module_init", token.module_init},
                             {"label", token.token_label},
                             {"serial", token.token_serial},
                             {"softhsm_config", token.softhsm_config},
                             {"softhsm_state", token.softhsm_state_directory},
                             {"mechanism", token.pinned_mechanism},
                             {"network", token.network},
                             {"threads", task.threads},
                             {"duration", task.duration.count()},
                             {"skip", task.skip},
                             {"disruptive", task.disruptive},
                             {"first_step", task.first_step},
                             {"facts", task.facts}});
}

Result<QualificationTask> ReceiveTask(int socket) {
  const Json document = KMS_TRY(ReceivePacket(socket));
  QualificationTask task;
  task.token.module_path = TextOf(document, "module");
  task.token.module_init = TextOf(document, "module_init");
  task.token.token_label = TextOf(document, "label");
  task.token.token_serial = TextOf(document, "serial");
  task.token.softhsm_config = TextOf(document, "softhsm_config");
  task.token.softhsm_state_directory = TextOf(document, "softhsm_state");
  task.token.pinned_mechanism = TextOf(document, "mechanism");
  task.token.network = FlagOf(document, "network");
  task.token.memory_limit_bytes = 0;
  task.duration = std::chrono::milliseconds(NumberOf<long>(document, "duration"));
  task.disruptive = FlagOf(document, "disruptive");
  task.first_step = NumberOf<std::size_t>(document, "first_step");
  if (const auto threads = document.find("threads");
      threads != document.end() && threads->is_array()) {
    for (const Json& count : *threads) {
      if (count.is_number_unsigned()) task.threads.push_back(count.get<std::uint32_t>());
    }
  }
  if (const auto skip = document.find("skip"); skip != document.end() && skip->is_array()) {
    for (const Json& section : *skip) {
      if (section.is_string()) task.skip.push_back(section.get<std::string>());
    }
  }
  if (const auto facts = document.find("facts"); facts != document.end() && facts->is_object()) {
    for (const auto& [name, value] : facts->items()) {
      if (value.is_string()) task.facts[name] = value.get<std::string>();
    }
  }
  return task;
}

Status SendMessage(int socket, const QualificationMessage& message) {
  return SendPacket(socket, std::visit(Encoder{}, message));
}

Result<QualificationMessage> ReceiveMessage(int socket, Deadline deadline) {
  KMS_TRY(AwaitPacket(socket, deadline));
  const Json document = KMS_TRY(ReceivePacket(socket));
  return Decode(document);
}

}  // namespace kms::pkcs11
