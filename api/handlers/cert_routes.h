// SPDX-License-Identifier: Apache-2.0
// Rows of the route table below cert mounts (transit-api 10.5).
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/handlers/login_routes.h"
#include "api/handlers/route_rows.h"
#include "api/handlers/token_parameter_fields.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace cert_fields {

using enum FieldKind;

inline constexpr std::array kLogin = {
    FieldSpec{.name = "name", .kind = kString},
};
// OCSP is not offered; what asks for it is refused by name rather than ignored.
inline constexpr auto kEntry = WithTokenParameters(std::array{
    FieldSpec{.name = "certificate", .kind = kString},
    FieldSpec{.name = "allowed_names", .kind = kSlice},
    FieldSpec{.name = "allowed_common_names", .kind = kSlice},
    FieldSpec{.name = "allowed_dns_sans", .kind = kSlice},
    FieldSpec{.name = "allowed_email_sans", .kind = kSlice},
    FieldSpec{.name = "allowed_uri_sans", .kind = kSlice},
    FieldSpec{.name = "allowed_organizational_units", .kind = kSlice},
    FieldSpec{.name = "required_extensions", .kind = kSlice},
    FieldSpec{.name = "allowed_metadata_extensions", .kind = kSlice},
    FieldSpec{.name = "display_name", .kind = kString},
    FieldSpec{.name = "ocsp_enabled", .kind = kBoolean},
    FieldSpec{.name = "ocsp_ca_certificates", .kind = kString},
    FieldSpec{.name = "ocsp_servers_override", .kind = kSlice},
    FieldSpec{.name = "ocsp_fail_open", .kind = kBoolean},
    FieldSpec{.name = "ocsp_query_all_servers", .kind = kBoolean},
});
inline constexpr std::array kRevocationList = {
    FieldSpec{.name = "crl", .kind = kString},
    FieldSpec{.name = "url", .kind = kString},
};
inline constexpr std::array kSettings = {
    FieldSpec{.name = "disable_binding", .kind = kBoolean},
    FieldSpec{.name = "enable_identity_alias_metadata", .kind = kBoolean},
};

}  // namespace cert_fields

inline constexpr auto kCertRoutes = BelowAuthMounts(
    "cert", std::array{
                WithoutToken(Changes("login", HandleCertLogin, cert_fields::kLogin)),
                WithExistence(CertEntryExists,
                              Changes("certs/{name}", HandleWriteCertEntry, cert_fields::kEntry)),
                Reads("certs/{name}", HandleReadCertEntry),
                Deletes("certs/{name}", HandleDeleteCertEntry),
                Lists("certs", HandleListCertEntries, login_fields::kList),
                Changes("crls/{name}", HandleWriteRevocationList, cert_fields::kRevocationList),
                Reads("crls/{name}", HandleReadRevocationList),
                Deletes("crls/{name}", HandleDeleteRevocationList),
                Lists("crls", HandleListRevocationLists, login_fields::kList),
                Reads("config", HandleReadCertSettings),
                Changes("config", HandleWriteCertSettings, cert_fields::kSettings),
            });

}  // namespace kms::api
