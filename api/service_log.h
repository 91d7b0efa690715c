// SPDX-License-Identifier: Apache-2.0
// The service log on standard error, text or JSON. Never blocks a request: a reader that is stuck
// costs lines, not answers. The audit log is something else.
#pragma once

#include <string_view>

#include "api/config/config.h"
#include "kms/base/error.h"

namespace kms::api {

// Call once, before the functions below; without it they write nothing.
void StartServiceLog(const LogConfig& config);
// Writes out what is queued.
void StopServiceLog();

void LogInfo(std::string_view text);
void LogWarning(std::string_view text);
void LogError(std::string_view text);
// The whole error with its detail, under a sentence that says what failed.
void LogError(std::string_view text, const Error& error);

}  // namespace kms::api
