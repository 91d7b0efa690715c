// SPDX-License-Identifier: Apache-2.0
#include "kms/keys/resident_key.h"

#include <algorithm>
#include <iterator>

namespace kms {

namespace {

struct Row {
  ResidentKeyType resident;
  KeyType type;
};

constexpr Row kRows[] = {
    {ResidentKeyType::kAes256Gcm, KeyType::kAes256Gcm96},
    {ResidentKeyType::kRsa2048, KeyType::kRsa2048},
    {ResidentKeyType::kRsa3072, KeyType::kRsa3072},
    {ResidentKeyType::kRsa4096, KeyType::kRsa4096},
    {ResidentKeyType::kEcdsaP256, KeyType::kEcdsaP256},
    {ResidentKeyType::kEcdsaP384, KeyType::kEcdsaP384},
    {ResidentKeyType::kEcdsaP521, KeyType::kEcdsaP521},
};

}  // namespace

KeyType KeyTypeOf(ResidentKeyType type) {
  return std::ranges::find(kRows, type, &Row::resident)->type;
}

std::string_view ResidentKeyTypeName(ResidentKeyType type) {
  return TraitsOf(KeyTypeOf(type)).name;
}

std::optional<AsymmetricAlgorithm> AsymmetricAlgorithmOf(ResidentKeyType type) {
  const KeyTypeTraits& traits = TraitsOf(KeyTypeOf(type));
  return traits.is_asymmetric() ? std::optional(traits.asymmetric) : std::nullopt;
}

std::optional<ResidentKeyType> ResidentTypeOf(KeyType type) {
  const auto* const row = std::ranges::find(kRows, type, &Row::type);
  return row == std::end(kRows) ? std::nullopt : std::optional(row->resident);
}

}  // namespace kms
