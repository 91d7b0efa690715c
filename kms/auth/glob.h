// SPDX-License-Identifier: Apache-2.0
// The two kinds of patterns that rules about identities are written in.
#pragma once

#include <string_view>

namespace kms {

// Whether `text` matches `pattern`, in which every '*' stands for any characters, also none. Linear in
// the product of their sizes; no allocation.
bool MatchesGlob(std::string_view pattern, std::string_view text);

// The same for patterns of policies, where a '*' is one at the beginning and the end only and itself
// anywhere else (transit-api 11.2, 11.4).
bool MatchesEdgeGlob(std::string_view pattern, std::string_view text);

}  // namespace kms
