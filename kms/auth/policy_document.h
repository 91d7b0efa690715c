// SPDX-License-Identifier: Apache-2.0
// PolicyNode: a policy document as a tree, the same whether it was written in HCL or in JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/result.h"

namespace kms::internal {

struct PolicyNode {
  enum class Kind : std::uint8_t { kString, kNumber, kBoolean, kList, kObject };

  Kind kind = Kind::kObject;
  std::string key;                   // of a member of an object
  std::string text;                  // of a scalar, in its one spelling
  std::vector<PolicyNode> children;  // elements of a list, members of an object
  int line = 1;

  [[nodiscard]] bool IsScalar() const { return kind != Kind::kList && kind != Kind::kObject; }
};

// JSON when the first character is '{', HCL otherwise. An HCL block with a label, `path "x" { }`,
// becomes a member "path" that is an object with the member "x", as the same thing is in JSON.
// Members keep their order. Blocks of one name may be repeated, as HCL allows; a key may not be
// given twice otherwise: of two meanings, one would be lost. Errors: kInvalidArgument "line N: …";
// for trees deeper than 16 too.
Result<PolicyNode> ReadPolicyDocument(std::string_view text);

}  // namespace kms::internal
