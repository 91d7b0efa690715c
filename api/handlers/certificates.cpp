// SPDX-License-Identifier: Apache-2.0
// POST keys/:name/csr and keys/:name/set-certificate (transit-api 6.26).
#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/crypto/certificate_chain.h"
#include "kms/operations/create_csr.h"
#include "kms/operations/set_certificate.h"

namespace kms::api {
namespace {

Reply Answer(const Key& key, std::string_view member, std::string_view text) {
  Reply reply;
  JsonObject data(reply.data);
  data.String("name", key.policy().name);
  data.String("type", TraitsOf(key.policy().type).name);
  data.String(member, text);
  data.Close();
  return reply;
}

}  // namespace

Result<Reply> HandleCreateCsr(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const KeyHandle key = KMS_TRY(call.environment->FindKey(name));
  const CreateCsrRequest request{.version = call.fields.Integer("version"),
                                 .template_pem = call.fields.Text("csr")};
  const CreateCsrOutcome outcome = KMS_TRY(CreateCsr(key.get(), name, request));
  call.key_version = outcome.version;
  return Answer(*key, "csr", outcome.csr);
}

Result<Reply> HandleSetCertificate(Call& call) {
  const KeyName name = KMS_TRY(KeyName::Parse(call.fields.Text("name")));
  const SetCertificateRequest request{.version = call.fields.Integer("version"),
                                      .chain_pem = call.fields.Text("certificate_chain")};
  const SetCertificateOutcome outcome = KMS_TRY(SetCertificate(*call.environment, name, request));
  call.key_version = outcome.version;
  const KeyVersion& version = *outcome.key->FindVersion(outcome.version);
  return Answer(*outcome.key, "certificate_chain",
                RenderCertificateChain(version.certificate_chain));
}

}  // namespace kms::api
