// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/pem_text.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "kms/base/base64.h"

namespace kms::internal {

namespace {

constexpr std::size_t kLineBytes = 48;  // 64 characters of base64
constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";

constexpr std::size_t PemSize(std::size_t label_size, std::size_t content_size, PemEnding ending) {
  const std::size_t lines = (content_size + kLineBytes - 1) / kLineBytes;
  return kBegin.size() + kEnd.size() + 2 * (label_size + kDashes.size()) + 1 +
         Base64EncodedSize(content_size) + lines + (ending == PemEnding::kNewline ? 1 : 0);
}

// Appends to memory that is large enough.
class Writer {
 public:
  explicit Writer(MutableByteView out) : out_(out) {}

  void Text(std::string_view text) { Copy(AsBytes(text)); }

  void Base64Line(ByteView content) {
    std::array<unsigned char, Base64EncodedSize(kLineBytes) + 1> line{};  // EVP adds a zero byte
    const int size = EVP_EncodeBlock(line.data(), content.data(), static_cast<int>(content.size()));
    Copy(ByteView(line).first(static_cast<std::size_t>(size)));
    OPENSSL_cleanse(line.data(), line.size());
  }

 private:
  void Copy(ByteView bytes) {
    std::ranges::copy(bytes, out_.begin());
    out_ = out_.subspan(bytes.size());
  }

  MutableByteView out_;
};

void WritePem(std::string_view label, ByteView content, PemEnding ending, MutableByteView out) {
  Writer writer(out);
  writer.Text(kBegin);
  writer.Text(label);
  writer.Text("-----\n");
  for (ByteView left = content; !left.empty();) {
    const std::size_t size = std::min(kLineBytes, left.size());
    writer.Base64Line(left.first(size));
    writer.Text("\n");
    left = left.subspan(size);
  }
  writer.Text(kEnd);
  writer.Text(label);
  writer.Text(ending == PemEnding::kNewline ? "-----\n" : kDashes);
}

// Where a boundary is: at the start of the text or of a line.
std::size_t FindBoundary(std::string_view text, std::string_view boundary) {
  std::size_t at = text.find(boundary);
  while (at != std::string_view::npos && at != 0 && text[at - 1] != '\n') {
    at = text.find(boundary, at + 1);
  }
  return at;
}

bool IsWhitespace(char letter) {
  return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

std::optional<Bytes> DecodeBody(std::string_view body) {
  std::string text(body);
  std::erase_if(text, IsWhitespace);
  Result<Bytes> content = Base64Decode(text);
  return content.has_value() ? std::optional(*std::move(content)) : std::nullopt;
}

}  // namespace

std::string EncodePem(std::string_view label, ByteView content, PemEnding ending) {
  std::string text(PemSize(label.size(), content.size(), ending), '\0');
  WritePem(label, content, ending, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return text;
}

Result<SecretBytes> EncodeSecretPem(std::string_view label, ByteView content, PemEnding ending) {
  SecretBytes text = KMS_TRY(SecretBytes::OfSize(PemSize(label.size(), content.size(), ending)));
  WritePem(label, content, ending, text.MutableView());
  return text;
}

std::optional<PemBlock> DecodePem(std::string_view text) {
  const std::size_t begin = FindBoundary(text, kBegin);
  if (begin == std::string_view::npos) {
    return std::nullopt;
  }
  text.remove_prefix(begin + kBegin.size());
  const std::string_view label = text.substr(0, text.find(kDashes));
  if (label.size() == text.size() || label.find('\n') != std::string_view::npos) {
    return std::nullopt;
  }
  text.remove_prefix(label.size() + kDashes.size());
  const std::size_t end = FindBoundary(text, kEnd);
  if (end == std::string_view::npos) {
    return std::nullopt;
  }
  std::optional<Bytes> content = DecodeBody(text.substr(0, end));
  text.remove_prefix(end + kEnd.size());
  if (!content.has_value() || !text.starts_with(label) ||
      !text.substr(label.size()).starts_with(kDashes)) {
    return std::nullopt;
  }
  text.remove_prefix(label.size() + kDashes.size());
  return PemBlock{.label = label, .content = *std::move(content), .rest = text};
}

}  // namespace kms::internal
