// SPDX-License-Identifier: Apache-2.0
// Commits of the login methods: what their classes share about writing entries of `sys`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/master/sealed_store.h"

namespace kms {

// Commits, and when the outcome is unknown looks whether the entries are now as wanted. For changes
// that may as well have been made twice; never for taking a use of something.
// Errors: kConflict, store errors; kUnavailable when it did not happen.
Status CommitEntries(SealedStore& sys, std::vector<SealedMutation> mutations);

// Commits what may happen once only, such as taking the last use. An unknown outcome is
// kUnavailable: whether it was this caller's or somebody else's cannot be told afterwards.
// Errors: kConflict, store errors.
Status CommitOnce(SealedStore& sys, std::vector<SealedMutation> mutations);

// Deletes every entry below `prefix`, a page at a time. Errors: store errors; some are gone then.
Status DeleteEntriesBelow(SealedStore& sys, const std::string& prefix);

// The last segments of the paths below `prefix`, after the segment `after`, at most `limit` of them
// (0: all).
Result<std::vector<std::string>> ListNamesBelow(SealedStore& sys, const std::string& prefix,
                                                std::string_view after, std::size_t limit);

// A record whose secrets stand at its end, so that they are never in ordinary memory.
Result<SecretBytes> WithSecretsBehind(const Bytes& record, std::initializer_list<ByteView> secrets);

}  // namespace kms
