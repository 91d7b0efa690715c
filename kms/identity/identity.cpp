// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/identity.h"

#include <utility>

#include "kms/identity/token_key.h"

namespace kms {

Result<std::unique_ptr<Identity>> Identity::Open(SealedStore& sys, const Clock& clock,
                                                 const IdentityOptions& options) {
  std::unique_ptr<Identity> identity(new Identity());
  identity->policies_ = KMS_TRY(PolicyStore::Open(sys));
  identity->mounts_ = KMS_TRY(AuthMounts::Open(sys));
  if (options.forget_tokens) {
    KMS_TRY(TokenKey::Replace(sys));
  }
  identity->tokens_ = KMS_TRY(
      TokenStore::Open(sys, *identity->policies_, clock, options.root_token, options.tokens));
  identity->wrapped_ = std::make_unique<WrappedResponses>(sys, *identity->tokens_, clock);
  identity->approvals_ = std::make_unique<Approvals>(sys, clock);
  identity->limit_settings_ = KMS_TRY(LimitSettings::Open(sys));
  return identity;
}

}  // namespace kms
