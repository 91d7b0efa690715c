// SPDX-License-Identifier: Apache-2.0
// PolicyStore: the named policies, compiled when they are written (transit-api 9.7, 11).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/auth/acl.h"
#include "kms/auth/identity_name.h"
#include "kms/base/result.h"
#include "kms/master/sealed_store.h"

namespace kms {

struct StoredPolicy {
  std::string name;
  std::string text;  // as it was written
};

// Entries in `sys`: policies/<name> (format in the .cpp). "root" exists without an entry and says
// nothing; "default" and "response-wrapping" exist from the start (built_in_policies.h).
// When a commit's outcome is unknown and the entry cannot be read again either, nobody knows what the
// policy says: until it can be read, sets of policies with it allow nothing.
// Thread rule: any thread. Writers wait for each other across store I/O, so that memory follows the
// store's order; readers wait for none of it, but for AclFor while a policy is unknown.
class PolicyStore {
 public:
  // Reads and compiles every policy. `sys` must outlive it.
  // Errors: store errors, kCorrupted naming a policy that no longer parses.
  static Result<std::unique_ptr<PolicyStore>> Open(SealedStore& sys);
  ~PolicyStore();

  // Errors: kInvalidArgument "failed to parse policy: …", `cannot update "root" policy` (the same for
  // "response-wrapping", "control-group"), store errors. kUnavailable: nothing was changed.
  Status Put(const IdentityName& name, std::string_view text);
  // nullopt when there is none; "root" has an empty text.
  [[nodiscard]] std::optional<StoredPolicy> Get(const IdentityName& name) const;
  // Success when absent. Errors: kInvalidArgument `cannot delete "root" policy`,
  // "cannot delete default policy"; store errors as Put.
  Status Delete(const IdentityName& name);
  // Sorted; always with "default" and "root", never with "response-wrapping".
  [[nodiscard]] std::vector<std::string> List() const;
  [[nodiscard]] bool Exists(std::string_view name) const;

  // What these policies together allow to whom `values` describes; names without a policy allow
  // nothing. Shared between callers with the same names as long as no template depends on `values`.
  // To notice later that it is stale, read generation() before.
  [[nodiscard]] AclHandle AclFor(const std::vector<std::string>& names,
                                 const TemplateValues& values) const;

  // Grows with every change: an Acl made before is stale.
  [[nodiscard]] std::uint64_t generation() const;

 private:
  struct Impl;
  explicit PolicyStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kms
