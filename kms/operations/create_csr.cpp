// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/create_csr.h"

#include <utility>

#include "kms/crypto/certificate_request.h"
#include "kms/operations/certifiable_key.h"

namespace kms {

Result<CreateCsrOutcome> CreateCsr(const Key* key, const KeyName& name,
                                   const CreateCsrRequest& request) {
  KMS_TRY(CheckCertifiable(key, name));
  const Result<const KeyVersion*> version = FindVersionOrLatest(*key, request.version);
  if (!version) {
    return InvalidArgument("could not create the csr: " + version.error().public_message);
  }
  if (key->policy().is_resident()) {
    return InvalidArgument("could not create the csr: the key lives in an HSM, which signs no "
                           "certificate requests here; use the HSM vendor's tool with its label");
  }
  const KeyVersionNumber number = (*version)->number;
  std::string csr =
      KMS_TRY(SignCertificateRequest(*key->FindAsymmetric(number), request.template_pem));
  return CreateCsrOutcome{.csr = std::move(csr), .version = number};
}

}  // namespace kms
