// SPDX-License-Identifier: Apache-2.0
// Authorization: whether a principal may do what a request asks (transit-api 11.4).
#pragma once

#include "api/pipeline/exchange.h"
#include "api/pipeline/fields.h"
#include "api/pipeline/options.h"
#include "kms/base/result.h"

namespace kms::api {

// The path and the verb: sets `exchange.rule`. Of a path that leads nowhere it asks the same, so
// that a caller who may do nothing there learns nothing about what exists.
// Errors: kPermissionDenied; store errors of a route's existence check.
Status AuthorizePath(const Services& services, Exchange& exchange);

// What the rule that allowed the path says of parameters and associated data, and whether policies
// that a role or user is to have are the caller's to give.
// Errors: kPermissionDenied.
Status AuthorizeFields(const Exchange& exchange, const Fields& fields);

// What it says of wrapping. Errors: kPermissionDenied.
Status AuthorizeWrapping(const Exchange& exchange);

}  // namespace kms::api
