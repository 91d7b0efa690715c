// SPDX-License-Identifier: Apache-2.0
// The hash chain of the audit log.
#include "kms/audit/chain.h"

#include <array>
#include <charconv>

#include "kms/audit/json_text.h"

namespace kms {
namespace {

constexpr std::string_view kBeforeSeq = "{\"seq\":";
constexpr std::string_view kBeforePrevious = ",\"prev\":\"";
constexpr std::string_view kAfterPrevious = "\",";

void AppendHex(const Sha256Digest& digest, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  std::array<char, 2 * kSha256Bytes> text{};
  for (std::size_t index = 0; index < kSha256Bytes; ++index) {
    text[2 * index] = kHex[digest[index] >> 4U];
    text[2 * index + 1] = kHex[digest[index] & 0xFU];
  }
  out.append(text.data(), text.size());
}

bool Skip(std::string_view expected, std::string_view& text) {
  if (!text.starts_with(expected)) {
    return false;
  }
  text.remove_prefix(expected.size());
  return true;
}

bool ReadNumber(std::string_view& text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || text.front() == '0') {
    return false;
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

int HexValue(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool ReadDigest(std::string_view& text, Sha256Digest& digest) {
  if (text.size() < 2 * kSha256Bytes) {
    return false;
  }
  for (std::size_t index = 0; index < kSha256Bytes; ++index) {
    const int high = HexValue(text[2 * index]);
    const int low = HexValue(text[2 * index + 1]);
    if (high < 0 || low < 0) {
      return false;
    }
    digest[index] = static_cast<std::uint8_t>(high * 16 + low);
  }
  text.remove_prefix(2 * kSha256Bytes);
  return true;
}

}  // namespace

AuditHead AppendChainedLine(const AuditHead& head, std::string_view members, std::string& out) {
  const std::size_t start = out.size();
  out.append(kBeforeSeq);
  AppendJsonNumber(head.seq + 1, out);
  out.append(kBeforePrevious);
  AppendHex(head.hash, out);
  out.append(kAfterPrevious);
  out.append(members);
  out.push_back('}');
  const AuditHead next{.seq = head.seq + 1,
                       .hash = Sha256(AsBytes(std::string_view(out).substr(start)))};
  out.push_back('\n');
  return next;
}

Result<ChainLink> ParseChainLink(std::string_view line) {
  ChainLink link;
  std::string_view rest = line;
  const bool parsed = Skip(kBeforeSeq, rest) && ReadNumber(rest, link.seq) &&
                      Skip(kBeforePrevious, rest) && ReadDigest(rest, link.previous) &&
                      Skip(kAfterPrevious, rest) && rest.ends_with('}');
  if (!parsed) {
    return Corrupted("the line is not an audit record");
  }
  return link;
}

}  // namespace kms
