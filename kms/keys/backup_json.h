// SPDX-License-Identifier: Apache-2.0
// What is peculiar about the JSON of Transit backups: integers longer than any machine word.
#pragma once

#include <string>
#include <string_view>

namespace kms::internal {

// `json` with quotes around every integer of more than 18 characters outside of strings: a parser
// of machine numbers reads it then. What is no JSON stays none.
std::string QuoteLongIntegers(std::string_view json);

}  // namespace kms::internal
