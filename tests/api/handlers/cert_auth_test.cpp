// SPDX-License-Identifier: Apache-2.0
// Login with certificates over the API (transit-api 10.5, U19, U20, CVE-2026-39388).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/pipeline/json_writer.h"
#include "tests/support/api_service.h"
#include "tests/support/pki_builder.h"

namespace kms::testing {
namespace {

using api::HttpMethod;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kNotTrusted = "invalid certificate or no client certificate supplied";
constexpr std::string_view kNotMatched =
    "no chain matching all constraints could be found for this login certificate";

std::string Quoted(std::string_view text) {
  std::string out;
  api::AppendJsonString(text, out);
  return out;
}

api::PeerCertificatesHandle Presented(const std::vector<const IssuedCertificate*>& chain) {
  auto certificates = std::make_shared<api::PeerCertificates>();
  for (const IssuedCertificate* certificate : chain) {
    certificates->chain.push_back(certificate->Der());
  }
  certificates->leaf_digest = Sha256(certificates->chain.front());
  return certificates;
}

class CertApiTest : public ::testing::Test {
 protected:
  CertApiTest() {
    service.EnableEveryAuthMethod();
    service.clock.Advance(std::chrono::hours(1));
    EXPECT_EQ(Write("certs/apps",
                    R"({"token_policies":"app","certificate":)" + Quoted(authority.Pem()) + "}")
                  .status,
              204);
  }

  ApiAnswer Write(const std::string& path, std::string body) {
    return service.Post("/v1/auth/cert/" + path, std::move(body));
  }
  ApiAnswer Read(const std::string& path) { return service.Get("/v1/auth/cert/" + path); }
  ApiAnswer Login(const IssuedCertificate* certificate, std::string body = "{}",
                  std::vector<std::pair<std::string, std::string>> headers = {}) {
    ApiRequest request{HttpMethod::kPost, "/v1/auth/cert/login", std::move(body),
                       std::move(headers)};
    request.certificates = certificate == nullptr ? nullptr : Presented({certificate});
    return service.Call(request);
  }
  std::string TokenOf(const IssuedCertificate& certificate) {
    const ApiAnswer answer = Login(&certificate);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return TextAfter(answer.body, "\"client_token\":\"");
  }
  int Use(const std::string& token, const IssuedCertificate* certificate,
          HttpMethod method = HttpMethod::kGet, const char* target = "auth/token/lookup-self") {
    ApiRequest request{method, "/v1/" + std::string(target), "", {}};
    request.certificates = certificate == nullptr ? nullptr : Presented({certificate});
    const ApiAnswer in_pool = service.CallAs(token, request);
    const ApiAnswer on_loop = service.CallOnLoop(ApiService::WithToken(request, token));
    EXPECT_EQ(in_pool.status, on_loop.status);
    return in_pool.status;
  }
  std::string RevocationBody(const RevocationSpec& spec) {
    return "{\"crl\":" + Quoted(RevocationListPem(MakeRevocationList(spec, authority))) + "}";
  }

  ApiService service;
  const IssuedCertificate authority = Issue(AuthoritySpec("authority"), nullptr);
  const IssuedCertificate client = Issue(ClientSpec("client"), &authority);
  const IssuedCertificate colleague = Issue(ClientSpec("colleague"), &authority);
  const IssuedCertificate renewed = Issue(ClientSpec("client"), &authority, client.shared_key());
  const IssuedCertificate stranger = Issue(ClientSpec("client"), nullptr);
};

TEST_F(CertApiTest, AnswersWithAnAuthObject) {
  const ApiAnswer answer = Login(&client);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.holds_secret);
  EXPECT_THAT(answer.body,
              AllOf(HasSubstr(R"("policies":["app","default"])"),
                    HasSubstr(R"("cert_name":"apps")"), HasSubstr(R"("common_name":"client")"),
                    HasSubstr(R"("serial_number":")"), HasSubstr(R"("subject_key_id":")"),
                    HasSubstr(R"("authority_key_id":")"), HasSubstr(R"("token_type":"service")")));
}

TEST_F(CertApiTest, U19_TheTokenIsGoodOnlyWithTheCertificateOfItsLogin) {
  const std::string token = TokenOf(client);
  EXPECT_EQ(Use(token, &client), 200);
  EXPECT_EQ(Use(token, nullptr), 403);
  EXPECT_EQ(Use(token, &colleague), 403);
  EXPECT_EQ(Use(token, &renewed), 403) << "the same name and key, another certificate";
  EXPECT_EQ(Use(token, &stranger), 403);
  EXPECT_EQ(Use(token, &client), 200);
}

TEST_F(CertApiTest, U19_RenewalWithAnotherCertificateIsRefused) {
  const std::string token = TokenOf(client);
  for (const IssuedCertificate* other : {&colleague, &renewed, &stranger}) {
    EXPECT_EQ(Use(token, other, HttpMethod::kPost, "auth/token/renew-self"), 403);
  }
  EXPECT_EQ(Use(token, nullptr, HttpMethod::kPost, "auth/token/renew-self"), 403);
  EXPECT_EQ(Use(token, &client, HttpMethod::kPost, "auth/token/renew-self"), 200);
}

TEST_F(CertApiTest, WithoutBindingTheTokenIsGoodAnywhere) {
  EXPECT_THAT(Read("config").body, HasSubstr(R"("disable_binding":false)"));
  EXPECT_EQ(Write("config", R"({"disable_binding":true})").status, 204);
  EXPECT_THAT(Read("config").body, HasSubstr(R"("disable_binding":true)"));
  const std::string token = TokenOf(client);
  EXPECT_EQ(Use(token, nullptr), 200);
  EXPECT_EQ(Use(token, &colleague), 200);
  EXPECT_EQ(Write("config", "{}").status, 204);
  EXPECT_THAT(Read("config").body, HasSubstr(R"("disable_binding":true)"));
  EXPECT_EQ(Write("config", R"({"enable_identity_alias_metadata":true})").status, 400);
}

TEST_F(CertApiTest, SaysWhyALoginFailsInTheReferencesWords) {
  EXPECT_EQ(Login(nullptr).status, 400);
  EXPECT_EQ(Login(nullptr).body, Errors("no client certificate found"));
  EXPECT_EQ(Login(&stranger).status, 400);
  EXPECT_EQ(Login(&stranger).body, Errors(kNotTrusted));
  EXPECT_EQ(Login(&client, R"({"name":"absent"})").body, Errors(kNotTrusted));
  EXPECT_EQ(Login(&client, R"({"name":"No such/name"})").body, Errors(kNotTrusted));
  EXPECT_EQ(Login(&client, R"({"name":"APPS"})").status, 200);
  EXPECT_EQ(Write("certs/apps", R"({"allowed_common_names":"other"})").status, 204);
  EXPECT_EQ(Login(&client).status, 400);
  EXPECT_EQ(Login(&client).body, Errors(kNotMatched));
}

TEST_F(CertApiTest, U20_HeaderFieldsAreNoCertificate) {
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"X-SSL-Client-Cert", client.Pem()},
      {"X-SSL-Client-Verify", "SUCCESS"},
      {"X-Forwarded-Client-Cert", HexEncode(client.Der())},
      {"X-Vault-Client-Certificate", client.Pem()}};
  EXPECT_EQ(Login(nullptr, "{}", fields).body, Errors("no client certificate found"));
  EXPECT_EQ(Login(&stranger, "{}", fields).body, Errors(kNotTrusted));
}

TEST_F(CertApiTest, U19_RevokedCertificatesCannotLogIn) {
  const std::uint64_t serial = 4242;
  CertificateSpec spec = ClientSpec("bad");
  spec.serial = serial;
  const IssuedCertificate bad = Issue(spec, &authority);
  EXPECT_EQ(Login(&bad).status, 200);
  EXPECT_EQ(Write("crls/ca", RevocationBody({.serials = {serial}})).status, 204);
  EXPECT_EQ(Login(&bad).body, Errors(kNotMatched));
  EXPECT_EQ(Login(&client).status, 200);
  EXPECT_THAT(Read("crls/ca").body,
              AllOf(HasSubstr(R"("serials":{"4242":{}})"), HasSubstr(R"("revoked":1)"),
                    HasSubstr(R"("issuer":"CN=authority")"),
                    HasSubstr(R"("this_update":"2026-01-01T00:00:00)"),
                    HasSubstr(R"("next_update":"2027-01-01T00:00:00)")));
  EXPECT_THAT(service.List("/v1/auth/cert/crls").body, HasSubstr(R"("keys":["ca"])"));
  EXPECT_EQ(service.Delete("/v1/auth/cert/crls/ca").status, 204);
  EXPECT_EQ(Read("crls/ca").status, 404);
  EXPECT_EQ(Login(&bad).status, 200);
}

TEST_F(CertApiTest, RefusesListsThatItCannotRead) {
  EXPECT_EQ(Write("crls/ca", "{}").body, Errors("missing crl"));
  EXPECT_THAT(Write("crls/ca", R"({"url":"http://crl.example.com/ca"})").body,
              HasSubstr("not fetched"));
  EXPECT_THAT(Write("crls/ca", R"({"crl":"text"})").body, HasSubstr("failed to parse CRL"));
  EXPECT_EQ(Read("crls/ca").status, 404);
}

TEST_F(CertApiTest, ReadsBackWhatWasWritten) {
  const std::string body =
      R"({"certificate":)" + Quoted(client.Pem()) +
      R"(,"display_name":"shown","allowed_names":["a","b"],"allowed_dns_sans":"*.example.com, x",)"
      R"("required_extensions":["1.2.3.4:x,y"],"allowed_metadata_extensions":["1.2.3.5"],)"
      R"("token_ttl":"1h","ocsp_enabled":false,"ocsp_ca_certificates":""})";
  EXPECT_EQ(Write("certs/pinned", body).status, 204);
  EXPECT_THAT(Read("certs/pinned").body,
              AllOf(HasSubstr("\"certificate\":" + Quoted(client.Pem())),
                    HasSubstr(R"("display_name":"shown","allowed_names":["a","b"],)"),
                    HasSubstr(R"("allowed_dns_sans":["*.example.com","x"])"),
                    HasSubstr(R"("allowed_uri_sans":[])"),
                    HasSubstr(R"("required_extensions":["1.2.3.4:x,y"])"),
                    HasSubstr(R"("allowed_metadata_extensions":["1.2.3.5"])"),
                    HasSubstr(R"("ocsp_enabled":false)"), HasSubstr(R"("token_ttl":3600)")));
  EXPECT_THAT(Read("certs/apps").body, HasSubstr(R"("display_name":"apps")"));
  EXPECT_THAT(service.List("/v1/auth/cert/certs").body, HasSubstr(R"("keys":["apps","pinned"])"));
  EXPECT_EQ(Read("certs/absent").status, 404);
}

TEST_F(CertApiTest, RefusesWhatItDoesNotOffer) {
  const std::string before = Read("certs/apps").body;
  for (const char* field :
       {R"("ocsp_enabled":true)", R"("ocsp_fail_open":true)", R"("ocsp_query_all_servers":true)",
        R"("ocsp_ca_certificates":"x")", R"("ocsp_servers_override":["http://ocsp"])"}) {
    const ApiAnswer answer = Write("certs/apps", "{" + std::string(field) + "}");
    EXPECT_EQ(answer.status, 400) << field;
    EXPECT_THAT(answer.body, HasSubstr("OCSP is not supported")) << field;
  }
  EXPECT_THAT(Write("certs/new", "{}").body, HasSubstr("failed to parse certificate"));
  EXPECT_EQ(Write("certs/apps", R"({"required_extensions":["x"]})").status, 400);
  EXPECT_EQ(WithoutRequestId(Read("certs/apps").body), WithoutRequestId(before));
}

TEST_F(CertApiTest, ADeletedEntryTakesItsTokensAlong) {
  EXPECT_EQ(Write("certs/pinned", R"({"certificate":)" + Quoted(colleague.Pem()) + "}").status,
            204);
  const std::string token = TokenOf(client);
  const std::string other = TokenOf(colleague);
  EXPECT_EQ(service.Delete("/v1/auth/cert/certs/apps").status, 204);
  EXPECT_EQ(Use(token, &client), 403);
  EXPECT_EQ(Use(other, &colleague), 200);
  EXPECT_EQ(Login(&client).body, Errors(kNotTrusted));
}

TEST_F(CertApiTest, BoundBlocksHoldForTheLogin) {
  EXPECT_EQ(Write("certs/apps", R"({"token_bound_cidrs":"10.0.0.0/8"})").status, 204);
  EXPECT_EQ(Login(&client).body, Errors(kNotMatched));
}

}  // namespace
}  // namespace kms::testing
