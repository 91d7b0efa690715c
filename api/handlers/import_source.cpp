// SPDX-License-Identifier: Apache-2.0
#include "api/handlers/import_source.h"

#include "api/front/ascii.h"

namespace kms::api {
namespace {

std::optional<std::string_view> OptionalText(const Fields& fields, std::string_view name) {
  return fields.Has(name) ? std::optional(fields.Text(name)) : std::nullopt;
}

}  // namespace

ImportSource ReadImportSource(const Fields& fields) {
  ImportSource source{.ciphertext = OptionalText(fields, "ciphertext"),
                      .public_key = OptionalText(fields, "public_key")};
  if (const std::string_view hash = fields.Text("hash_function"); !hash.empty()) {
    source.hash_function = hash;
  }
  return source;
}

std::optional<KeyType> FindTypeInAnyCase(std::string_view name) {
  if (name.empty()) {
    return KeyType::kAes256Gcm96;
  }
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    if (EqualsIgnoringCase(name, traits.name)) {
      return traits.type;
    }
  }
  return std::nullopt;
}

}  // namespace kms::api
