// SPDX-License-Identifier: Apache-2.0
// Put and Delete: mutations of a store, short enough to read in a test.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kms/store/store.h"

namespace kms::testing {

inline Mutation Put(std::string path, std::string_view value,
                    std::optional<Revision> expected = std::nullopt) {
  return {.path = std::move(path), .value = CopyOf(AsBytes(value)), .expected_revision = expected};
}
inline Mutation Delete(std::string path, std::optional<Revision> expected = std::nullopt) {
  return {.path = std::move(path), .value = std::nullopt, .expected_revision = expected};
}

}  // namespace kms::testing
