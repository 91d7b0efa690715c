// SPDX-License-Identifier: Apache-2.0
// The fields of import and import_version that carry the key, and how the type of one may be spelt.
#pragma once

#include <optional>
#include <string_view>

#include "api/pipeline/fields.h"
#include "kms/keys/key_type.h"
#include "kms/operations/imported_material.h"

namespace kms::api {

// Views of the fields, which must outlive it.
ImportSource ReadImportSource(const Fields& fields);

// In any case of letters, "" being the default type; nullopt for others.
std::optional<KeyType> FindTypeInAnyCase(std::string_view name);

}  // namespace kms::api
