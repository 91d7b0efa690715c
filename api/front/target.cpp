// SPDX-License-Identifier: Apache-2.0
// The request target: one pass that decodes, one that looks at the segments of the result.
#include "api/front/target.h"

#include "api/front/percent.h"

namespace kms::api {
namespace {

constexpr Refusal kNotOriginForm{400, "the request target must start with '/'"};
constexpr Refusal kBadEscape{400, "malformed percent escape in the path"};
constexpr Refusal kForbiddenByte{400, "forbidden character in the path"};
constexpr Refusal kEmptySegment{400, "empty path segments are not supported"};
constexpr Refusal kRelative{400, "relative paths not supported"};
constexpr Refusal kBadQuery{400, "forbidden character in the query"};

bool IsPrintable(char byte) { return byte >= ' ' && byte <= '~'; }

// As sent, between '/' and '?': a blank would have ended the target.
bool MayStandPlain(char byte) { return byte > ' ' && byte <= '~' && byte != '\\' && byte != '#'; }

// Decoded bytes that would change meaning when read once more, or in another place, are refused.
bool MayStandEscaped(char byte) {
  return IsPrintable(byte) && byte != '/' && byte != '\\' && byte != '%';
}

Refusal Decode(std::string_view path, std::string& decoded) {
  decoded.clear();
  for (std::size_t at = 0; at < path.size(); ++at) {
    if (path[at] != '%') {
      decoded.push_back(path[at]);
      continue;
    }
    const int byte = DecodeEscape(path.substr(at));
    if (byte < 0) {
      return kBadEscape;
    }
    if (!MayStandEscaped(static_cast<char>(byte))) {
      return kForbiddenByte;
    }
    decoded.push_back(static_cast<char>(byte));
    at += 2;
  }
  return {};
}

Refusal CheckSegment(std::string_view segment, bool last) {
  if (segment.empty() && !last) {
    return kEmptySegment;
  }
  if (segment == "." || segment == "..") {
    return kRelative;
  }
  return {};
}

Refusal CheckSegments(std::string_view path) {
  std::size_t begin = 1;
  while (true) {
    const std::size_t end = path.find('/', begin);
    const bool last = end == std::string_view::npos;
    const Refusal refusal = CheckSegment(path.substr(begin, last ? end : end - begin), last);
    if (refusal || last) {
      return refusal;
    }
    begin = end + 1;
  }
}

}  // namespace

Refusal ParseTarget(std::string_view text, Target& target, std::string& decoded) {
  target = Target{};
  if (text.empty() || text.front() != '/') {
    return kNotOriginForm;
  }
  std::size_t at = 0;
  for (; at < text.size() && text[at] != '?'; ++at) {
    if (!MayStandPlain(text[at])) {
      return kForbiddenByte;
    }
    target.escaped |= text[at] == '%';
  }
  target.path_bytes = at;
  target.has_query = at < text.size();
  for (; at < text.size(); ++at) {
    if (text[at] <= ' ' || text[at] > '~' || text[at] == '#') {
      return kBadQuery;
    }
  }
  const std::string_view path = text.substr(0, target.path_bytes);
  if (!target.escaped) {
    return CheckSegments(path);
  }
  const Refusal refusal = Decode(path, decoded);
  return refusal ? refusal : CheckSegments(decoded);
}

}  // namespace kms::api
