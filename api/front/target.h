// SPDX-License-Identifier: Apache-2.0
// The request target, decoded and checked exactly once, so that router and policy see one path.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "api/front/refusal.h"

namespace kms::api {

struct Target {
  std::size_t path_bytes = 0;  // length of the path as sent, which starts the target
  bool has_query = false;      // the query starts one byte after the path
  bool escaped = false;        // the path had percent escapes: use the decoded copy
};

// Splits `text` (origin form only) and checks its path; `decoded` receives the path when it holds
// percent escapes and is left alone otherwise. Refused with 400: everything that some reader could
// take for another path: empty, "." and ".." segments, encoded or plain '\', encoded '/', '%' or
// NUL, bytes outside printable ASCII, fragments, absolute URIs. A trailing '/' is kept.
Refusal ParseTarget(std::string_view text, Target& target, std::string& decoded);

}  // namespace kms::api
