// SPDX-License-Identifier: Apache-2.0
// The same quartets as base64.cpp, in another alphabet: signatures are short, so they are translated.
#include "kms/base/base64url.h"

#include <algorithm>

#include "kms/base/base64.h"

namespace kms {

void AppendBase64Url(ByteView bytes, std::string& out) {
  const std::size_t start = out.size();
  AppendBase64(bytes, out);
  out.resize(start + (bytes.size() * 4 + 2) / 3);
  std::replace(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), '+', '-');
  std::replace(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), '/', '_');
}

Result<Bytes> Base64UrlDecode(std::string_view text) {
  if (const std::size_t bad = text.find_first_of("+/="); bad != std::string_view::npos) {
    return InvalidArgument("illegal base64 data at input byte " + std::to_string(bad));
  }
  std::string standard(text);
  std::ranges::replace(standard, '-', '+');
  std::ranges::replace(standard, '_', '/');
  standard.append((4 - standard.size() % 4) % 4, '=');
  return Base64Decode(standard, Base64Form::kCanonical);
}

}  // namespace kms
