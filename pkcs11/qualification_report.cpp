// SPDX-License-Identifier: Apache-2.0
// The verdict, and the report as JSON and as text.
#include "pkcs11/qualification_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace kms::pkcs11 {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint32_t kDefaultSessions = 4;
constexpr std::uint32_t kMostSessions = 64;
// The anchor and the one of libp11.
constexpr std::uint32_t kSessionsBeside = 2;
// More threads than reach this share of the best throughput only queue.
constexpr double kGoodEnough = 0.9;

std::string FactOf(const QualificationReport& report, const std::string& name) {
  const auto found = report.facts.find(name);
  return found == report.facts.end() ? std::string() : found->second;
}

std::vector<std::string> WordsOf(const QualificationReport& report, const std::string& name) {
  std::vector<std::string> words;
  const std::string text = FactOf(report, name);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

// Enough for the best throughput of unwrapping, no more than the token grants.
std::uint32_t RecommendedSessions(const QualificationReport& report) {
  double best = 0;
  for (const MeasuredRate& rate : report.rates) {
    if (rate.operation == "unwrap") best = std::max(best, rate.per_second);
  }
  std::uint32_t sessions = kDefaultSessions;
  for (const MeasuredRate& rate : report.rates) {
    if (rate.operation != "unwrap" || rate.per_second < kGoodEnough * best) continue;
    sessions = std::max(sessions, rate.threads);
    break;
  }
  sessions = std::min(sessions, kMostSessions);
  const bool capped = FactOf(report, "sessions.capped") == "yes";
  const auto granted = static_cast<std::uint32_t>(
      std::strtoul(FactOf(report, "sessions.granted").c_str(), nullptr, 10));
  if (capped && granted > 0) {
    const std::uint32_t room = granted > kSessionsBeside ? granted - kSessionsBeside : 1;
    sessions = std::min(sessions, room);
  }
  return sessions;
}

Json Configuration(const QualificationOptions& options, const QualificationReport& report,
                   const Verdict& verdict) {
  Json hsm;
  hsm["module"] = options.token.module_path;
  if (!options.token.module_init.empty()) hsm["module_init"] = options.token.module_init;
  hsm["token_label"] = options.token.token_label;
  hsm["token_serial"] = FactOf(report, "token.serial");
  hsm["pin"] = options.pin_reference;
  hsm["mechanism"] = FactOf(report, "best.mechanism");
  hsm["sessions"] = verdict.sessions;
  if (options.token.network) hsm["network"] = true;
  if (!options.pass_environment.empty()) hsm["pass_environment"] = options.pass_environment;
  if (!options.token.softhsm_config.empty()) hsm["softhsm_config"] = options.token.softhsm_config;
  if (!options.token.softhsm_state_directory.empty()) {
    hsm["softhsm_state_directory"] = options.token.softhsm_state_directory;
  }
  return hsm;
}

Json Group(const QualificationReport& report, std::string_view prefix) {
  Json group = Json::object();
  for (const auto& [name, value] : report.facts) {
    if (name.starts_with(prefix)) group[name.substr(prefix.size())] = value;
  }
  return group;
}

double Rounded(double value) { return std::round(value * 10) / 10; }

Json RateJson(const MeasuredRate& rate) {
  return {{"operation", rate.operation},
          {"threads", rate.threads},
          {"operations", rate.operations},
          {"failures", rate.failures},
          {"per_second", Rounded(rate.per_second)},
          {"microseconds",
           {{"p50", Rounded(rate.p50)},
            {"p95", Rounded(rate.p95)},
            {"p99", Rounded(rate.p99)},
            {"max", Rounded(rate.longest)}}}};
}

Json FindingJson(const Finding& finding) {
  return {{"section", finding.section},
          {"name", finding.name},
          {"result", MarkName(finding.mark)},
          {"text", finding.text}};
}

std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

// ---- text

// Vendors' texts must not command the terminal.
std::string Printable(const std::string& text) {
  std::string safe = text;
  std::ranges::replace_if(safe, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
  return safe;
}

std::string Padded(const std::string& text, std::size_t width) {
  return text.size() >= width ? text : text + std::string(width - text.size(), ' ');
}

std::string FindingsText(const QualificationReport& report) {
  std::size_t width = 0;
  for (const Finding& finding : report.findings) width = std::max(width, finding.name.size());
  std::string text;
  std::string section;
  for (const Finding& finding : report.findings) {
    if (finding.section != section) text += "\n" + Printable(finding.section) + "\n";
    section = finding.section;
    text += "  " + Padded(std::string(MarkName(finding.mark)), 9) +
            Padded(Printable(finding.name), width + 2) + Printable(finding.text) + "\n";
  }
  return text;
}

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f", value < 100 ? 1 : 0, value);
  return text;
}

std::string RatesText(const QualificationReport& report) {
  if (report.rates.empty()) return {};
  std::string text =
      "\nperformance (latencies in microseconds)\n  OPERATION  THREADS  PER SECOND  "
      "P50       P95       P99       MAX       FAILURES\n";
  for (const MeasuredRate& rate : report.rates) {
    text += "  " + Padded(rate.operation, 11) + Padded(std::to_string(rate.threads), 9) +
            Padded(Number(rate.per_second), 12) + Padded(Number(rate.p50), 10) +
            Padded(Number(rate.p95), 10) + Padded(Number(rate.p99), 10) +
            Padded(Number(rate.longest), 10) + std::to_string(rate.failures) + "\n";
  }
  return text;
}

std::string LinesOf(const std::string& head, const std::vector<std::string>& lines) {
  std::string text = lines.empty() ? "" : head + "\n";
  for (const std::string& line : lines) text += "  - " + Printable(line) + "\n";
  return text;
}

}  // namespace

Verdict JudgeQualification(const QualificationReport& report) {
  Verdict verdict;
  for (const Finding& finding : report.findings) {
    const std::string line = finding.section + ", " + finding.name + ": " + finding.text;
    if (finding.mark == Mark::kBad) verdict.reasons.push_back(line);
    if (finding.mark == Mark::kWarning) verdict.warnings.push_back(line);
  }
  const bool proven =
      FactOf(report, "master_key") == "ok" && FactOf(report, "recovery.initialised_anew") == "ok";
  if (verdict.reasons.empty() && !proven) {
    verdict.reasons.push_back("the tests of the master key did not come to their end");
  }
  verdict.usable = verdict.reasons.empty();
  verdict.sessions = RecommendedSessions(report);
  return verdict;
}

std::string QualificationJson(const QualificationOptions& options,
                              const QualificationReport& report) {
  const Verdict verdict = JudgeQualification(report);
  Json json;
  json["format"] = 1;
  json["complete"] = FactOf(report, "complete") == "yes";
  json["module"] = Group(report, "module.");
  json["token"] = Group(report, "token.");
  json["mechanisms"] = {{"best", FactOf(report, "best.mechanism")},
                        {"proven", WordsOf(report, "mechanisms.proven")},
                        {"lies", WordsOf(report, "mechanisms.lies")}};
  json["gcm"] = {{"nonce", FactOf(report, "gcm.nonce")},
                 {"parameter_bytes", WordsOf(report, "gcm.layouts")}};
  json["attributes"] = Group(report, "attributes.");
  json["errors"] = Group(report, "errors.");
  json["sessions"] = Group(report, "sessions.");
  json["recovery"] = Group(report, "recovery.");
  json["signing"] = FactOf(report, "signing") == "yes";
  json["resident_keys"] = WordsOf(report, "resident_keys");
  json["key_agreement"] = WordsOf(report, "key_agreement");
  json["findings"] = Json::array();
  for (const Finding& finding : report.findings) json["findings"].push_back(FindingJson(finding));
  json["performance"] = Json::array();
  for (const MeasuredRate& rate : report.rates) json["performance"].push_back(RateJson(rate));
  json["verdict"] = {
      {"usable", verdict.usable}, {"reasons", verdict.reasons}, {"warnings", verdict.warnings}};
  if (verdict.usable) json["verdict"]["hsm"] = Configuration(options, report, verdict);
  return Dump(json) + "\n";
}

std::string QualificationText(const QualificationOptions& options,
                              const QualificationReport& report) {
  const Verdict verdict = JudgeQualification(report);
  std::string text = FindingsText(report) + RatesText(report);
  text += LinesOf("\nknow before you rely on it:", verdict.warnings);
  if (!verdict.usable) {
    return text + LinesOf("\nNOT USABLE:", verdict.reasons);
  }
  const Json section = {{"hsm", Configuration(options, report, verdict)}};
  return text + "\nUSABLE. The configuration:\n" + Dump(section) + "\n";
}

}  // namespace kms::pkcs11
