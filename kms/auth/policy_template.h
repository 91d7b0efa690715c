// SPDX-License-Identifier: Apache-2.0
// "{{identity.entity.…}}" in policies (transit-api 11.5).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kms/auth/acl.h"
#include "kms/base/result.h"

namespace kms::internal {

bool HasTemplate(std::string_view text);

// That every template of `text` is closed and names something that can be filled in: the entity's
// id, name or metadata.<key>, or aliases.<mount accessor>.id, .name or .metadata.<key> of it. There
// are no groups here. Errors: kInvalidArgument, with at most the template in it.
Status CheckTemplates(std::string_view text);

// `text` with its templates filled in, in one pass. nullopt when a value is missing, is empty, or
// holds '*', '+', '/' or a control byte: with those it could mean more than one thing or place.
std::optional<std::string> FillTemplates(std::string_view text, const TemplateValues& values);

}  // namespace kms::internal
