// SPDX-License-Identifier: Apache-2.0
// The associated data of every item of a request, for policies that demand some.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/pipeline/fields.h"
#include "api/pipeline/route.h"

namespace kms::api {

// One entry per item that the request names, decoded; nullopt for an item without associated data,
// with an empty one, or with one that is no base64 (the handler refuses it anyway). A route that
// takes none gives one nullopt, so that a demand for some is never met by not asking.
std::vector<std::optional<std::string>> AssociatedDataOf(const Route& route, const Fields& fields);

}  // namespace kms::api
