// SPDX-License-Identifier: Apache-2.0
#include "tests/support/p11fault/rules.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <thread>

namespace p11fault {

namespace {

std::string FromEnvironment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string PathOfThisModule() {
  Dl_info info{};
  // Any address of this module will do.
  ::dladdr(reinterpret_cast<const void*>(&PathOfThisModule), &info);
  return info.dli_fname == nullptr ? "" : info.dli_fname;
}

void Sleep(int milliseconds) {
  const timespec time{.tv_sec = milliseconds / 1000,
                      .tv_nsec = static_cast<long>(milliseconds % 1000) * 1'000'000};
  ::nanosleep(&time, nullptr);
}

bool Happens(double rate) {
  thread_local std::minstd_rand random{std::random_device()()};
  return rate >= 1 || std::uniform_real_distribution<double>(0, 1)(random) < rate;
}

// "1%" or "0.01".
double ToShare(const std::string& text) {
  return std::strtod(text.c_str(), nullptr) / (text.ends_with('%') ? 100 : 1);
}

CK_RV ToRv(const std::string& text) { return std::strtoul(text.c_str(), nullptr, 0); }
int ToInt(const std::string& text) { return std::atoi(text.c_str()); }

// A control file is written by our own tests: what is misspelt must not pass unnoticed.
[[noreturn]] void RefuseLine(const std::string& line) {
  std::fprintf(stderr, "p11fault: cannot read the rule: %s\n", line.c_str());
  std::abort();
}

using Setter = void (*)(Rule&, const std::string&);
struct Word {
  std::string_view name;
  Setter set;
};
constexpr std::array kWords{
    Word{"n",
         [](Rule& rule, const std::string& value) {
           rule.first = std::strtoul(value.c_str(), nullptr, 10);
           rule.last = rule.first;
         }},
    Word{"from",
         [](Rule& rule, const std::string& value) {
           rule.first = std::strtoul(value.c_str(), nullptr, 10);
         }},
    Word{"once", [](Rule& rule, const std::string&) { rule.once = true; }},
    Word{"rate", [](Rule& rule, const std::string& value) { rule.rate = ToShare(value); }},
    Word{"return", [](Rule& rule, const std::string& value) { rule.result = ToRv(value); }},
    Word{"late", [](Rule& rule, const std::string& value) { rule.late_result = ToRv(value); }},
    Word{"delay",
         [](Rule& rule, const std::string& value) { rule.delay_milliseconds = ToInt(value); }},
    Word{"limit",
         [](Rule& rule, const std::string& value) {
           rule.calls_per_second = static_cast<unsigned>(ToInt(value));
         }},
    Word{"dead", [](Rule& rule, const std::string&) { rule.dead = true; }},
    Word{"logout", [](Rule& rule, const std::string&) { rule.logout = true; }},
    Word{"lose", [](Rule& rule, const std::string&) { rule.lose = true; }},
    Word{"hang", [](Rule& rule, const std::string&) { rule.hang = true; }},
    Word{"exit", [](Rule& rule, const std::string& value) { rule.exit_status = ToInt(value); }},
    Word{"signal", [](Rule& rule, const std::string& value) { rule.signal = ToInt(value); }},
    Word{"after", [](Rule& rule, const std::string&) { rule.after = true; }},
    Word{"length", [](Rule& rule, const std::string& value) { rule.length = value; }},
    Word{"flip", [](Rule& rule, const std::string&) { rule.flip = true; }},
    Word{"constant", [](Rule& rule, const std::string&) { rule.constant = true; }},
    Word{"drop", [](Rule& rule, const std::string&) { rule.drop = true; }},
    Word{"iv", [](Rule& rule, const std::string& value) { rule.iv = value; }},
    Word{"leak",
         [](Rule& rule, const std::string& value) {
           rule.leak_kilobytes = std::strtoul(value.c_str(), nullptr, 10);
         }},
    Word{"call", [](Rule& rule, const std::string& value) { rule.call = value; }},
};

Rule ParseRule(const std::string& line) {
  Rule rule;
  rule.line = line;
  std::istringstream words(line);
  words >> rule.function;
  std::string word;
  while (words >> word) {
    const std::size_t equals = std::min(word.find('='), word.size());
    const auto* const known = std::ranges::find(kWords, word.substr(0, equals), &Word::name);
    if (known == kWords.end()) {
      RefuseLine(line);
    }
    known->set(rule, equals == word.size() ? "" : word.substr(equals + 1));
  }
  if (!rule.iv.empty() && rule.iv != "overwrite" && rule.iv != "append") {
    RefuseLine(line);
  }
  return rule;
}

// The number after `key`= in a line like "sessions max=8".
std::uint64_t SettingOf(const std::string& line) {
  const std::size_t equals = line.find('=');
  if (equals == std::string::npos) {
    RefuseLine(line);
  }
  return std::strtoul(line.c_str() + equals + 1, nullptr, 10);
}

std::string StampOf(const std::string& path) {
  struct stat info{};
  if (path.empty() || ::stat(path.c_str(), &info) != 0) {
    return "absent";
  }
  return std::to_string(info.st_ino) + "/" + std::to_string(info.st_size) + "/" +
         std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec);
}

}  // namespace

Paths FindPaths() {
  Paths paths{.module = FromEnvironment("P11FAULT_MODULE"),
              .control = FromEnvironment("P11FAULT_CONTROL"),
              .log = FromEnvironment("P11FAULT_LOG")};
  std::ifstream file(PathOfThisModule() + ".conf");
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t equals = std::min(line.find('='), line.size() - 1);
    const std::string value = line.substr(equals + 1);
    for (auto& [key, path] : {std::pair<std::string_view, std::string&>{"module", paths.module},
                              {"control", paths.control},
                              {"log", paths.log}}) {
      if (line.substr(0, equals) == key && path.empty()) {
        path = value;
      }
    }
  }
  return paths;
}

void Rules::ReloadLocked() {
  const std::string stamp = StampOf(paths_.control);
  if (stamp == stamp_) {
    return;
  }
  stamp_ = stamp;
  rules_.clear();
  max_sessions_.reset();
  pin_tries_.reset();
  std::ifstream file(paths_.control);
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty() || line.front() == '#') {
      continue;
    }
    if (line.starts_with("sessions ")) {
      max_sessions_ = SettingOf(line);
    } else if (line.starts_with("pin ")) {
      pin_tries_ = static_cast<int>(SettingOf(line));
    } else {
      rules_.push_back(ParseRule(line));
    }
  }
  const auto gone = [this](const auto& entry) {
    return std::ranges::find(rules_, entry.first, &Rule::line) == rules_.end();
  };
  std::erase_if(counts_, gone);
  std::erase_if(turns_, gone);
}

std::vector<Rule> Rules::Match(std::string_view function) {
  const std::lock_guard lock(mutex_);
  ReloadLocked();
  std::vector<Rule> matching;
  for (const Rule& rule : rules_) {
    if (rule.function != "*" && rule.function != function) {
      continue;
    }
    const std::uint64_t count = ++counts_[rule.line];
    if (count >= rule.first && count <= rule.last && Happens(rule.rate) &&
        (!rule.once || TakeOnceLocked(rule))) {
      matching.push_back(rule);
    }
  }
  return matching;
}

bool Rules::TakeOnceLocked(const Rule& rule) const {
  const std::string marker =
      paths_.control + ".once." + std::to_string(std::hash<std::string>()(rule.line));
  const int fd = ::open(marker.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) {
    return false;
  }
  ::close(fd);
  return true;
}

void Rules::WaitUntilGone(const Rule& rule) {
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      ReloadLocked();
      if (std::ranges::find(rules_, rule.line, &Rule::line) == rules_.end()) {
        return;
      }
    }
    Sleep(5);
  }
}

void Rules::WaitForTurn(const Rule& rule) {
  if (rule.calls_per_second == 0) {
    return;
  }
  auto turn = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    auto& next = turns_[rule.line];
    turn = std::max(turn, next);
    next = turn + std::chrono::nanoseconds(std::chrono::seconds(1)) / rule.calls_per_second;
  }
  std::this_thread::sleep_until(turn);
}

void Rules::Log(std::string_view function, CK_RV result) {
  std::array<char, 96> line{};
  const int size = std::snprintf(line.data(), line.size(), "%.*s 0x%lx\n",
                                 static_cast<int>(function.size()), function.data(), result);
  Append({line.data(), static_cast<std::size_t>(size)});
}

void Rules::LogCall(std::string_view name, int error) {
  Append("CALL " + std::string(name) + " " + std::to_string(error) + "\n");
}

void Rules::Append(std::string_view line) {
  if (paths_.log.empty()) {
    return;
  }
  const std::lock_guard lock(mutex_);
  if (log_ < 0) {
    log_ = ::open(paths_.log.c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, S_IRUSR | S_IWUSR);
  }
  if (::write(log_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    std::perror("p11fault: log");
  }
}

std::optional<CK_RV> Rules::BeforeOpenSession() {
  const std::lock_guard lock(mutex_);
  ReloadLocked();
  if (max_sessions_.has_value() && open_sessions_ >= *max_sessions_) {
    return CKR_SESSION_COUNT;
  }
  return std::nullopt;
}

void Rules::AfterOpenSession(CK_RV result) {
  const std::lock_guard lock(mutex_);
  open_sessions_ += result == CKR_OK ? 1U : 0U;
}

void Rules::AfterCloseSession(CK_RV result) {
  const std::lock_guard lock(mutex_);
  open_sessions_ -= result == CKR_OK && open_sessions_ > 0 ? 1U : 0U;
}

void Rules::AfterCloseAllSessions() {
  const std::lock_guard lock(mutex_);
  open_sessions_ = 0;
}

int Rules::PinFailuresLocked() const {
  int failures = 0;
  std::ifstream(paths_.control + ".pin") >> failures;
  return failures;
}

std::optional<CK_RV> Rules::BeforeLogin() {
  const std::lock_guard lock(mutex_);
  ReloadLocked();
  if (pin_tries_.has_value() && PinFailuresLocked() >= *pin_tries_) {
    return CKR_PIN_LOCKED;
  }
  return std::nullopt;
}

void Rules::AfterLogin(CK_RV result) {
  const std::lock_guard lock(mutex_);
  if (!pin_tries_.has_value() || (result != CKR_OK && result != CKR_PIN_INCORRECT)) {
    return;
  }
  const int failures = result == CKR_OK ? 0 : PinFailuresLocked() + 1;
  std::ofstream(paths_.control + ".pin", std::ios::trunc) << failures;
}

}  // namespace p11fault
