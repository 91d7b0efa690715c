// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/exported_versions.h"

#include <charconv>
#include <cstdint>

namespace kms {

namespace {

Result<std::int64_t> ParseVersion(const Key& key, std::string_view text) {
  if (text == "latest") {
    return std::int64_t{key.policy().latest_version};
  }
  if (text.starts_with('v')) {
    text.remove_prefix(1);
  }
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) {
    return InvalidArgument("invalid key version");
  }
  return number;
}

}  // namespace

Result<std::vector<const KeyVersion*>> ChooseExportedVersions(const Key& key,
                                                              std::string_view version) {
  std::vector<const KeyVersion*> chosen;
  if (version.empty()) {
    for (const KeyVersion& each : key.versions()) {
      chosen.push_back(&each);
    }
    return chosen;
  }
  const std::int64_t number = KMS_TRY(ParseVersion(key, version));
  if (number < std::int64_t{key.policy().min_decryption_version}) {
    return InvalidArgument("version for export is below minimum decryption version");
  }
  if (number > std::int64_t{key.policy().latest_version}) {
    return InvalidArgument("version does not exist or cannot be found");
  }
  chosen.push_back(key.FindVersion(static_cast<KeyVersionNumber>(number)));
  return chosen;
}

}  // namespace kms
