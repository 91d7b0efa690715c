// SPDX-License-Identifier: Apache-2.0
// What sign, verify, hmac, hash and random share: an input, and an answer of which one member
// matters.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "kms/base/result.h"
#include "tools/kmsctl/input_output.h"
#include "tools/kmsctl/session.h"

namespace CLI {
class App;
}

namespace kms::tools {

// The input as argument `name` or --in FILE.
void AddInputOptions(CLI::App& command, const std::string& name, InputSource& input);
// --key-version; 0: the latest.
void AddKeyVersionOption(CLI::App& command, std::int64_t& key_version);

// kInternal, for answers of something that is no key service.
Error NoSuchMember(std::string_view name);

// Prints one text of an answer's data, or all of it as JSON. Errors: NoSuchMember.
Status PrintMember(const Session& session, const nlohmann::json& data, const std::string& name);
// Prints that what was asked about is valid. Errors: NoSuchMember; kDecryptionFailed with `refusal`
// when it is not.
Status PrintValidity(const Session& session, const nlohmann::json& data,
                     const std::string& refusal);

}  // namespace kms::tools
