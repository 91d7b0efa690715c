// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::api::ParseTarget, ParseQuery.
// An accepted path has one reading: decoding it again, or splitting it, changes nothing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api/front/query.h"
#include "api/front/target.h"

namespace {

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  kms::api::Target target;
  std::string decoded;
  const bool accepted = !kms::api::ParseTarget(text, target, decoded);
  kms::IgnoreError(kms::api::ParseQuery(text), "only crashes are looked for here");
  if (!accepted) {
    return 0;
  }
  const std::string path =
      target.escaped ? decoded : std::string{text.substr(0, target.path_bytes)};
  Require(path.starts_with('/'));
  Require(std::ranges::all_of(
      path, [](char byte) { return byte >= ' ' && byte <= '~' && byte != '%' && byte != '\\'; }));
  for (const char* part : {"//", "/./", "/../"}) {
    Require(path.find(part) == std::string::npos);
  }
  Require(!path.ends_with("/.") && !path.ends_with("/.."));
  return 0;
}
