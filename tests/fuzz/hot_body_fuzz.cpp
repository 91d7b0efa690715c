// SPDX-License-Identifier: Apache-2.0
// Functions under test: kms::api::HotBody::Decode against kms::api::DecodeCryptoRequest. Whatever
// the loop's decoder accepts, the pool's accepts with the same items.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "api/pipeline/hot_body.h"
#include "api/pipeline/item_decoder.h"
#include "kms/base/bytes.h"

namespace {

using kms::api::FieldKind;
using kms::api::FieldSpec;
using kms::api::HotVerb;

constexpr std::array kFields = {
    FieldSpec{.name = "plaintext", .kind = FieldKind::kBase64},
    FieldSpec{.name = "ciphertext", .kind = FieldKind::kString},
    FieldSpec{.name = "context", .kind = FieldKind::kBase64},
    FieldSpec{.name = "key_version", .kind = FieldKind::kInteger},
    FieldSpec{.name = "associated_data", .kind = FieldKind::kBase64},
    FieldSpec{.name = "plaintext_crc32c", .kind = FieldKind::kInteger},
    FieldSpec{.name = "ciphertext_crc32c", .kind = FieldKind::kInteger},
    FieldSpec{.name = "associated_data_crc32c", .kind = FieldKind::kInteger},
    FieldSpec{.name = "checksum", .kind = FieldKind::kBoolean},
    FieldSpec{.name = "padding_scheme", .kind = FieldKind::kString},
    FieldSpec{.name = "decrypt_padding_scheme", .kind = FieldKind::kString},
    FieldSpec{.name = "encrypt_padding_scheme", .kind = FieldKind::kString},
    FieldSpec{.name = "nonce", .kind = FieldKind::kBase64},
    FieldSpec{.name = "bits", .kind = FieldKind::kInteger, .fallback = "256"},
    FieldSpec{.name = "partial_failure_response_code", .kind = FieldKind::kInteger},
    FieldSpec{.name = "batch_input", .kind = FieldKind::kSlice},
};

void Require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void RequireEqual(const kms::api::CryptoRequest& a, const kms::api::CryptoRequest& b) {
  Require(a.is_batch == b.is_batch && a.items.size() == b.items.size() && a.bits == b.bits &&
          a.partial_failure_status == b.partial_failure_status &&
          a.wants_checksums == b.wants_checksums);
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    Require(a.items[i].input == b.items[i].input && a.items[i].context == b.items[i].context &&
            a.items[i].has_input == b.items[i].has_input &&
            a.items[i].associated_data == b.items[i].associated_data &&
            a.items[i].reference == b.items[i].reference &&
            a.items[i].key_version == b.items[i].key_version &&
            a.items[i].input_crc32c == b.items[i].input_crc32c &&
            a.items[i].associated_data_crc32c == b.items[i].associated_data_crc32c &&
            a.items[i].nonce == b.items[i].nonce &&
            a.items[i].padding_scheme == b.items[i].padding_scheme &&
            a.items[i].decrypt_padding_scheme == b.items[i].decrypt_padding_scheme);
  }
}

void Compare(HotVerb verb, std::string_view text) {
  constexpr std::size_t kMaxItems = 100;
  static kms::api::HotBody hot;
  kms::api::CryptoRequest fast;
  fast.verb = verb;
  if (!hot.Decode(text, kMaxItems, fast) || !kms::api::CheckCryptoRequest(fast)) {
    return;
  }
  auto body = kms::api::JsonBody::Parse(text, kms::api::JsonLimits());
  Require(body.has_value());
  const auto fields = kms::api::Fields::Decode(kFields, {}, std::move(*body));
  Require(fields.has_value());
  kms::api::CryptoRequest slow;
  Require(kms::api::DecodeCryptoRequest(verb, *fields, kMaxItems, slow).has_value());
  RequireEqual(fast, slow);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = kms::AsText({data, size});
  for (const HotVerb verb :
       {HotVerb::kEncrypt, HotVerb::kDecrypt, HotVerb::kRewrap, HotVerb::kDataKey}) {
    Compare(verb, text);
  }
  return 0;
}
