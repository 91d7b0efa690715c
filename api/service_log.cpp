// SPDX-License-Identifier: Apache-2.0
#include "api/service_log.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

namespace kms::api {

namespace {

constexpr std::size_t kQueuedLines = 4096;

std::shared_ptr<spdlog::logger>& Logger() {
  static std::shared_ptr<spdlog::logger> logger;
  return logger;
}

bool g_json = false;  // written once, before other threads exist

bool IsControl(char character) {
  return static_cast<unsigned char>(character) < 0x20 || character == 0x7f;
}

// What callers, HSMs and their libraries say must not look like lines of our own.
void Write(spdlog::level::level_enum level, std::string_view text) {
  if (Logger() == nullptr) {
    return;
  }
  std::string line;
  line.reserve(text.size());
  for (const char character : text) {
    if (g_json && (character == '"' || character == '\\')) {
      line += '\\';
    }
    line += IsControl(character) ? ' ' : character;
  }
  Logger()->log(level, "{}", line);
}

}  // namespace

void StartServiceLog(const LogConfig& config) {
  spdlog::init_thread_pool(kQueuedLines, 1);
  Logger() = std::make_shared<spdlog::async_logger>(
      "kmsd", std::make_shared<spdlog::sinks::stderr_sink_mt>(), spdlog::thread_pool(),
      spdlog::async_overflow_policy::overrun_oldest);
  g_json = config.format == "json";
  Logger()->set_pattern(g_json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%v"})"
                               : "%Y-%m-%dT%H:%M:%S.%eZ %-7l %v",
                        spdlog::pattern_time_type::utc);
  Logger()->set_level(spdlog::level::from_str(config.level));
  Logger()->flush_on(spdlog::level::info);
}

void StopServiceLog() {
  Logger().reset();
  spdlog::shutdown();
}

void LogInfo(std::string_view text) { Write(spdlog::level::info, text); }
void LogWarning(std::string_view text) { Write(spdlog::level::warn, text); }
void LogError(std::string_view text) { Write(spdlog::level::err, text); }

void LogError(std::string_view text, const Error& error) {
  LogError(std::string{text} + ": " + Describe(error));
}

}  // namespace kms::api
