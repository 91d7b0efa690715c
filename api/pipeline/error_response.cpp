// SPDX-License-Identifier: Apache-2.0
// ErrorCode to HTTP. Clients of this protocol retry every 5xx, so nothing that a caller must mend
// is one.
#include "api/pipeline/error_response.h"

#include <array>
#include <random>

#include "api/pipeline/envelope.h"

namespace kms::api {
namespace {

struct Row {
  ErrorCode code;
  int status;
  std::string_view advice;  // appended to the message: what to do next
  std::string_view text;    // replaces the message where that must not be told
};

constexpr std::array kRows = {
    Row{ErrorCode::kInvalidArgument, 400, {}, {}},
    Row{ErrorCode::kUnauthenticated, 403, {}, "permission denied"},
    Row{ErrorCode::kPermissionDenied, 403, {}, {}},
    Row{ErrorCode::kNotFound, 404, {}, {}},
    Row{ErrorCode::kAlreadyExists, 400, {}, {}},
    Row{ErrorCode::kFailedPrecondition, 503, "; an operator must act, see the server's log", {}},
    Row{ErrorCode::kConflict, 503, "; read it again and repeat the request", {}},
    Row{ErrorCode::kResourceExhausted, 429, {}, {}},
    Row{ErrorCode::kDecryptionFailed, 400, {}, {}},
    Row{ErrorCode::kCorrupted, 500, {},
        "damaged entry; it was not used, an operator finds its path in the server's log"},
    Row{ErrorCode::kUnavailable, 503, "; retry, and see sys/hsm/status if it persists", {}},
    Row{ErrorCode::kOutcomeUnknown, 503, "; read the state before you repeat the request", {}},
    Row{ErrorCode::kInternal, 500, {}, "internal error"},
};

const Row& RowOf(ErrorCode code) {
  for (const Row& row : kRows) {
    if (row.code == code) {
      return row;
    }
  }
  return kRows.back();
}

constexpr bool CoversEveryCode() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].code) != i) {
      return false;
    }
  }
  return static_cast<std::size_t>(ErrorCode::kInternal) + 1 == kRows.size();
}
static_assert(CoversEveryCode());

}  // namespace

int HttpStatusOf(ErrorCode code) { return RowOf(code).status; }

std::string PublicText(const Error& error) {
  const Row& row = RowOf(error.code);
  std::string text = row.text.empty() ? error.public_message : std::string(row.text);
  text += row.advice;
  return error.code == ErrorCode::kInternal ? Wrapped(text) : text;
}

void WriteError(const Error& error, HttpResponse& response) {
  WriteErrorBody(HttpStatusOf(error.code), PublicText(error), response);
}

void AddRetryAfter(std::chrono::nanoseconds wait, HttpResponse& response) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
  response.headers.emplace_back("Retry-After", std::to_string(seconds < 1 ? 1 : seconds));
}

void SlowDown(std::chrono::nanoseconds wait, HttpResponse& response) {
  // Never the same, or all connections of one client would come back in one burst.
  constexpr std::chrono::milliseconds kShortestPause{32};
  constexpr std::uint64_t kSpreadMilliseconds = 96;
  thread_local std::minstd_rand spread(std::random_device{}());
  AddRetryAfter(wait, response);
  response.pause = kShortestPause + std::chrono::milliseconds(spread() % kSpreadMilliseconds);
}

bool IsUserError(ErrorCode code) { return HttpStatusOf(code) < 500; }

}  // namespace kms::api
