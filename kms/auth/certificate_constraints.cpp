// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/certificate_constraints.h"

#include <algorithm>
#include <optional>
#include <span>

#include "kms/auth/glob.h"

namespace kms {

namespace {

constexpr std::string_view kHexPrefix = "hex:";

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  return lower;
}

bool AnyMatches(std::span<const std::string> patterns, std::span<const std::string> names) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    return std::ranges::any_of(names,
                               [&](const std::string& name) { return MatchesGlob(pattern, name); });
  });
}

bool AnyMatchesWithoutCase(std::span<const std::string> patterns,
                           std::span<const std::string> names) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    const std::string lower = Lower(pattern);
    return std::ranges::any_of(
        names, [&](const std::string& name) { return MatchesGlob(lower, Lower(name)); });
  });
}

std::vector<std::string> CommonNames(const CertificateNames& names) {
  return names.common_name.empty() ? std::vector<std::string>{}
                                   : std::vector<std::string>{names.common_name};
}

bool AnyNameMatches(std::span<const std::string> patterns, const CertificateNames& names) {
  return AnyMatches(patterns, CommonNames(names)) ||
         AnyMatchesWithoutCase(patterns, names.dns_names) ||
         AnyMatches(patterns, names.email_addresses);
}

struct RequiredExtension {
  bool hex = false;
  std::string_view oid;
  std::string_view pattern;
};

// Views of `text`; nullopt when it has another form.
std::optional<RequiredExtension> ParseRequired(std::string_view text) {
  RequiredExtension required;
  if (text.starts_with(kHexPrefix)) {
    required.hex = true;
    text.remove_prefix(kHexPrefix.size());
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  required.oid = text.substr(0, colon);
  required.pattern = text.substr(colon + 1);
  return CheckOid(required.oid).has_value() ? std::optional(required) : std::nullopt;
}

bool HasExtension(const ClientCertificate& certificate, std::string_view text) {
  const std::optional<RequiredExtension> required = ParseRequired(text);
  if (!required) {
    return false;
  }
  const std::optional<std::string> content = required->hex
                                                 ? certificate.ExtensionHex(required->oid)
                                                 : certificate.ExtensionText(required->oid);
  const std::string pattern =
      required->hex ? Lower(required->pattern) : std::string(required->pattern);
  return content.has_value() && MatchesGlob(pattern, *content);
}

}  // namespace

Status CheckOid(std::string_view text) {
  const bool dotted = !text.empty() && text.size() <= 100 && text.front() != '.' &&
                      text.back() != '.' && text.find('.') != std::string_view::npos &&
                      text.find("..") == std::string_view::npos &&
                      text.find_first_not_of("0123456789.") == std::string_view::npos;
  return dotted ? Ok() : InvalidArgument("an extension must be named by its dotted OID");
}

Status CheckConstraints(const CertificateConstraints& constraints) {
  for (const std::string& required : constraints.required_extensions) {
    if (!ParseRequired(required)) {
      return InvalidArgument(
          "required_extensions must have the form \"OID:value\" or \"hex:OID:value\"");
    }
  }
  return Ok();
}

bool Satisfies(const ClientCertificate& certificate, const CertificateConstraints& constraints) {
  const CertificateNames& names = certificate.names();
  const auto holds = [](const std::vector<std::string>& patterns, bool matches) {
    return patterns.empty() || matches;
  };
  return holds(constraints.names, AnyNameMatches(constraints.names, names)) &&
         holds(constraints.common_names,
               AnyMatches(constraints.common_names, CommonNames(names))) &&
         holds(constraints.dns_names,
               AnyMatchesWithoutCase(constraints.dns_names, names.dns_names)) &&
         holds(constraints.email_addresses,
               AnyMatches(constraints.email_addresses, names.email_addresses)) &&
         holds(constraints.uris, AnyMatches(constraints.uris, names.uris)) &&
         holds(constraints.organizational_units,
               AnyMatches(constraints.organizational_units, names.organizational_units)) &&
         std::ranges::all_of(constraints.required_extensions, [&](const std::string& required) {
           return HasExtension(certificate, required);
         });
}

}  // namespace kms
