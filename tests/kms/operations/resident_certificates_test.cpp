// SPDX-License-Identifier: Apache-2.0
// Certificate requests, certificates and key agreement of keys that live in an HSM token, with the
// openssl program as reader and authority.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/crypto/key_agreement.h"
#include "kms/crypto/key_export.h"
#include "kms/operations/create_csr.h"
#include "kms/operations/derive_key.h"
#include "kms/operations/export_key.h"
#include "kms/operations/set_certificate.h"
#include "kms/operations/sign.h"
#include "tests/fakes/fault_plan.h"
#include "tests/kms/operations/resident_world.h"
#include "tests/support/asymmetric_keys.h"
#include "tests/support/openssl_command.h"

namespace kms {
namespace {

using testing::FailEachCall;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::Name;
using testing::OpensslCommand;
using testing::ResidentWorld;
using testing::TestKey;
using enum ErrorCode;

constexpr KeyType kEcTypes[] = {KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kEcdsaP521};

std::string PublicPem(const AsymmetricKey& key) {
  return ExportPublicKey(key, KeyFormat::kDefault).value();
}

std::string NameOf(KeyType type) { return std::string(TraitsOf(type).name); }

// ---- certificate requests -----------------------------------------------------------------------

TEST(ResidentCsr, IsVerifiedByOpensslAndKeepsTheTemplate) {
  ResidentWorld world;
  OpensslCommand openssl;
  ASSERT_TRUE(
      openssl.Run("req -new -newkey rsa:2048 -nodes -keyout t.key -out t.csr -subj "
                  "/C=DE/O=Example/CN=web -addext subjectAltName=DNS:web.example"));
  const std::string csr_template = openssl.Text("t.csr");
  for (const KeyType type :
       {KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kEcdsaP521, KeyType::kRsa2048}) {
    const std::string name = NameOf(type);
    KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, world.CreateInHsm(type, name));
    for (const std::string& asked : {std::string(), csr_template}) {
      const std::uint64_t calls = world.first.calls();
      KMS_ASSERT_OK_AND_ASSIGN(const CreateCsrOutcome made,
                               CreateCsr(key.get(), Name(name), {.template_pem = asked}));
      EXPECT_EQ(world.first.calls(), calls + 1);
      EXPECT_EQ(made.version, 1U);
      openssl.Write("made.csr", made.csr);
      EXPECT_TRUE(openssl.Run("req -in made.csr -verify -noout")) << name;
      ASSERT_TRUE(openssl.Run("req -in made.csr -noout -pubkey"));
      EXPECT_THAT(openssl.Output(), HasSubstr(PublicPem(*key->FindAsymmetric(1)))) << name;
    }
    ASSERT_TRUE(openssl.Run("req -in made.csr -noout -text"));
    EXPECT_THAT(openssl.Output(), HasSubstr("DNS:web.example"));
    EXPECT_THAT(openssl.Output(), HasSubstr("CN = web"));
    EXPECT_TRUE(key->versions().front().material.empty());
  }
}

TEST(ResidentCsr, IsOfTheVersionThatWasAskedFor) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(KeyType::kEcdsaP384), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, RotateKey(world.environment(), Name("app")));
  OpensslCommand openssl;
  for (const KeyVersionNumber version : {1U, 2U}) {
    KMS_ASSERT_OK_AND_ASSIGN(const CreateCsrOutcome made,
                             CreateCsr(key.get(), Name("app"), {.version = version}));
    EXPECT_EQ(made.version, version);
    openssl.Write("made.csr", made.csr);
    ASSERT_TRUE(openssl.Run("req -in made.csr -verify -noout -pubkey"));
    EXPECT_THAT(openssl.Output(), HasSubstr(PublicPem(*key->FindAsymmetric(version))));
  }
  EXPECT_THAT(CreateCsr(key.get(), Name("app"), {.version = 3}),
              HasError(kInvalidArgument, "could not create the csr: no such key version"));
}

TEST(ResidentCsr, OfAnExternalKeyIsMadeToo) {
  ResidentWorld world;
  ASSERT_THAT(world.first.token()->resident_keys.Generate({7}, ResidentKeyType::kEcdsaP256, "old"),
              IsOk());
  world.AllowExternalKeys("first:*");
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, world.CreateExternal("first:old"));
  KMS_ASSERT_OK_AND_ASSIGN(const CreateCsrOutcome made, CreateCsr(key.get(), Name("app"), {}));
  OpensslCommand openssl;
  openssl.Write("made.csr", made.csr);
  EXPECT_TRUE(openssl.Run("req -in made.csr -verify -noout"));
}

TEST(ResidentCsr, IsNotAskedForWhatCannotBe) {
  ResidentWorld world;
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle aes, world.CreateInHsm(KeyType::kAes256Gcm96, "aes"));
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle ec, world.CreateInHsm(KeyType::kEcdsaP256, "ec"));
  const std::uint64_t calls = world.first.calls();
  EXPECT_THAT(CreateCsr(aes.get(), Name("aes"), {}),
              HasError(kInvalidArgument, "key type 'aes256-gcm96' does not support signing"));
  EXPECT_THAT(CreateCsr(ec.get(), Name("ec"), {.template_pem = "nonsense"}),
              HasError(kInvalidArgument, "could not decode PEM CSR"));
  EXPECT_EQ(world.first.calls(), calls) << "the token is not asked for what cannot be answered";
}

TEST(ResidentCsr, H1_AFailingTokenGivesItsErrorAndNoRequest) {
  ResidentWorld world;
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle key, world.CreateInHsm(KeyType::kEcdsaP256));
  EXPECT_EQ(FailEachCall(
                {.arrange =
                     [&](int n) {
                       world.first.ClearFaults();
                       world.first.FailCall(static_cast<std::uint64_t>(n), Unavailable("planned"));
                     },
                 .run = [&]() -> Status {
                   KMS_TRY(CreateCsr(key.get(), Name("app"), {}));
                   return Ok();
                 },
                 .check =
                     [](const Status& outcome) {
                       if (!outcome.has_value()) {
                         EXPECT_THAT(outcome, HasError(kUnavailable, HasSubstr("planned")));
                       }
                     }}),
            1);
  world.first.FailCall(1, InvalidArgument("no such signatures"));
  EXPECT_THAT(CreateCsr(key.get(), Name("app"), {}),
              HasError(kInvalidArgument, "could not create the csr: no such signatures"));
  world.first.SetPresent(false);
  EXPECT_THAT(CreateCsr(key.get(), Name("app"), {}), HasError(kUnavailable));
}

// ---- certificates -------------------------------------------------------------------------------

class ResidentCertificate : public ::testing::Test {
 protected:
  ResidentCertificate() {
    EXPECT_TRUE(
        openssl_.Run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 "
                     "-keyout ca.key -out ca.pem -subj /CN=authority"));
  }
  // The chain of a certificate that was requested by the key, leaf first.
  std::string ChainFor(std::string_view name, std::int64_t version = 0) {
    const Result<CreateCsrOutcome> made =
        CreateCsr(world_.Find(name).get(), Name(name), {.version = version});
    EXPECT_THAT(made, IsOk());
    openssl_.Write("leaf.csr", made.has_value() ? made->csr : "");
    EXPECT_TRUE(openssl_.Run(
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -out leaf.pem"));
    return openssl_.Text("leaf.pem") + openssl_.Text("ca.pem");
  }
  Result<SetCertificateOutcome> Set(std::string_view name, std::string_view chain,
                                    std::int64_t version = 0) {
    return SetCertificate(world_.environment(), Name(name),
                          {.version = version, .chain_pem = chain});
  }
  // As the chain of that version is exported; empty when there is none.
  std::string Exported(std::string_view name) {
    std::string text;
    IgnoreError(
        ExportKey(*world_.Find(name), {.type = ExportType::kCertificateChain, .version = "latest"},
                  [&](KeyVersionNumber, ByteView chain) {
                    text = AsText(chain);
                    return Ok();
                  }),
        "no chain is an answer");
    return text;
  }
  void ExpectSigns(std::string_view name) {
    const SignatureRequest request =
        ParseSignatureNames(
            {.hash = "sha2-256", .marshaling = "asn1", .scheme = "", .salt_length = "auto"})
            .value();
    EXPECT_THAT(Sign(*world_.Find(name), {.request = request, .input = AsBytes("x")}), IsOk());
  }

  ResidentWorld world_;
  OpensslCommand openssl_;
};

TEST_F(ResidentCertificate, IsKeptWithAKeyThatGoesOnLivingInItsToken) {
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kEcdsaP521, KeyType::kRsa2048}) {
    const std::string name = NameOf(type);
    ASSERT_THAT(world_.CreateInHsm(type, name), IsOk());
    const std::string chain = ChainFor(name);
    KMS_ASSERT_OK_AND_ASSIGN(const SetCertificateOutcome outcome, Set(name, chain));
    EXPECT_EQ(outcome.key->versions().front().certificate_chain.size(), 2U);
    ASSERT_TRUE(outcome.key->versions().front().resident.has_value());
    world_.Restart();
    EXPECT_EQ(Exported(name) + "\n", chain);
    ExpectSigns(name);
  }
  EXPECT_EQ(world_.Objects(), 3U);
}

TEST_F(ResidentCertificate, OfAnOlderVersionIsKeptThere) {
  ASSERT_THAT(world_.CreateInHsm(KeyType::kEcdsaP256), IsOk());
  ASSERT_THAT(RotateKey(world_.environment(), Name("app")), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const SetCertificateOutcome outcome, Set("app", ChainFor("app", 1), 1));
  EXPECT_EQ(outcome.version, 1U);
  EXPECT_EQ(outcome.key->FindVersion(1)->certificate_chain.size(), 2U);
  EXPECT_TRUE(outcome.key->FindVersion(2)->certificate_chain.empty());
  EXPECT_EQ(Exported("app"), "");
}

TEST_F(ResidentCertificate, OfAnotherKeyOrCurveIsRefused) {
  ASSERT_THAT(world_.CreateInHsm(KeyType::kEcdsaP256, "app"), IsOk());
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kRsa2048}) {
    const std::string other = "other-" + NameOf(type);
    ASSERT_THAT(world_.CreateInHsm(type, other), IsOk());
    EXPECT_THAT(Set("app", ChainFor(other)),
                HasError(kInvalidArgument,
                         "leaf certificate public key does not match the selected key version"));
  }
  EXPECT_EQ(Exported("app"), "");
}

TEST_F(ResidentCertificate, D2_EachStoreCallMayFailWhileItIsKept) {
  ASSERT_THAT(world_.CreateInHsm(KeyType::kEcdsaP256), IsOk());
  const std::string chain = ChainFor("app");
  FailEachCall({.arrange =
                    [&](int n) {
                      world_.Restart();
                      world_.store.FailCall(n);
                    },
                .run = [&]() -> Status {
                  KMS_TRY(Set("app", chain));
                  return Ok();
                },
                .check =
                    [&](const Status& outcome) {
                      world_.store.Heal();
                      world_.Restart();
                      ExpectSigns("app");
                      EXPECT_EQ(Exported("app").empty(), !outcome.has_value());
                    }});
  EXPECT_EQ(world_.Objects(), 1U);
}

// ---- key agreement ------------------------------------------------------------------------------

Result<KeyHandle> DeriveFrom(ResidentWorld& world, std::string_view base, const std::string& peer,
                             std::string_view name = "derived",
                             KeyType type = KeyType::kAes256Gcm96, std::int64_t version = 0) {
  return DeriveKey(world.environment(), Name(name),
                   {.algorithm = "ecdh",
                    .peer_public_key = peer,
                    .base_key_name = base,
                    .base_key_version = version,
                    .type = type});
}

TEST(ResidentAgreement, ComesToTheKeyThatThePeerComesTo) {
  ResidentWorld world;
  for (const KeyType type : kEcTypes) {
    const std::string name = NameOf(type);
    KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle base, world.CreateInHsm(type, name));
    const AsymmetricKey peer = TestKey(TraitsOf(type).asymmetric);
    for (const KeyType wanted : {KeyType::kAes128Gcm96, KeyType::kAes256Gcm96,
                                 KeyType::kChaCha20Poly1305, KeyType::kHmac}) {
      const std::string derived_name = name + "-" + NameOf(wanted);
      KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle derived,
                               DeriveFrom(world, name, PublicPem(peer), derived_name, wanted));
      const SecretBytes& material = derived->versions().front().material;
      KMS_ASSERT_OK_AND_ASSIGN(
          const SecretBytes of_peer,
          AgreeEcdh(peer, PublicPem(*base->FindAsymmetric(1)), material.size()));
      EXPECT_TRUE(material == of_peer) << derived_name;
      EXPECT_FALSE(derived->policy().is_resident());
      EXPECT_TRUE(derived->policy().imported);
    }
  }
  EXPECT_EQ(world.Objects(), 3U) << "derived keys are no objects of the token";
}

TEST(ResidentAgreement, IsThatOfTheVersionThatWasAskedFor) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(KeyType::kEcdsaP256), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const KeyHandle base, RotateKey(world.environment(), Name("app")));
  const AsymmetricKey peer = TestKey(AsymmetricAlgorithm::kEcdsaP256);
  for (const KeyVersionNumber version : {1U, 2U}) {
    KMS_ASSERT_OK_AND_ASSIGN(
        const KeyHandle derived,
        DeriveFrom(world, "app", PublicPem(peer), "derived-" + std::to_string(version),
                   KeyType::kAes256Gcm96, version));
    KMS_ASSERT_OK_AND_ASSIGN(const SecretBytes of_peer,
                             AgreeEcdh(peer, PublicPem(*base->FindAsymmetric(version)), 32));
    EXPECT_TRUE(derived->versions().front().material == of_peer);
  }
}

TEST(ResidentAgreement, C14_PeersThatAreNoneAreRefusedBeforeTheTokenSeesThem) {
  ResidentWorld world;
  ASSERT_THAT(world.CreateInHsm(KeyType::kEcdsaP256), IsOk());
  const std::uint64_t calls = world.first.calls();
  std::string off_curve = PublicPem(TestKey(AsymmetricAlgorithm::kEcdsaP256));
  const std::size_t inside = off_curve.find("\n-----END") - 6;
  off_curve[inside] = off_curve[inside] == 'A' ? 'B' : 'A';
  for (const std::string& peer :
       {std::string("nonsense"), off_curve, PublicPem(TestKey(AsymmetricAlgorithm::kEcdsaP384)),
        PublicPem(TestKey(AsymmetricAlgorithm::kRsa2048)),
        PublicPem(TestKey(AsymmetricAlgorithm::kEd25519))}) {
    EXPECT_THAT(DeriveFrom(world, "app", peer),
                HasError(kInvalidArgument, HasSubstr("error parsing peer public key")))
        << peer;
  }
  EXPECT_EQ(world.first.calls(), calls);
  EXPECT_EQ(world.Find("derived"), nullptr);
}

TEST(ResidentAgreement, IsRefusedByKeysOfOtherTypesAndByThoseMadeWithoutIt) {
  ResidentWorld world;
  const std::string peer = PublicPem(TestKey(AsymmetricAlgorithm::kEcdsaP256));
  ASSERT_THAT(world.CreateInHsm(KeyType::kRsa2048, "rsa"), IsOk());
  EXPECT_THAT(DeriveFrom(world, "rsa", peer),
              HasError(kInvalidArgument, "base key type rsa-2048 does not support key agreement"));
  world.first.token()->resident_keys.makes_agreeing_keys = false;
  ASSERT_THAT(world.CreateInHsm(KeyType::kEcdsaP256), IsOk());
  EXPECT_THAT(DeriveFrom(world, "app", peer),
              HasError(kInvalidArgument, HasSubstr("made without key agreement")));
  world.first.token()->resident_keys.makes_agreeing_keys = true;
  ASSERT_THAT(RotateKey(world.environment(), Name("app")), IsOk());
  EXPECT_THAT(DeriveFrom(world, "app", peer), IsOk()) << "a version made later may";
}

TEST(ResidentAgreement, D2_H1_EachFailureLeavesNoKeyBehind) {
  ResidentWorld world;
  const AsymmetricKey peer = TestKey(AsymmetricAlgorithm::kEcdsaP256);
  ASSERT_THAT(world.CreateInHsm(KeyType::kEcdsaP256), IsOk());
  int round = 0;
  for (const bool of_token : {true, false}) {
    std::string name;
    FailEachCall({.arrange =
                      [&](int n) {
                        name = "derived-" + std::to_string(++round);
                        world.Restart();
                        if (of_token) {
                          world.first.FailCall(static_cast<std::uint64_t>(n),
                                               Unavailable("planned"));
                        } else {
                          world.store.FailCall(n);
                        }
                      },
                  .run = [&]() -> Status {
                    KMS_TRY(DeriveFrom(world, "app", PublicPem(peer), name));
                    return Ok();
                  },
                  .check =
                      [&](const Status& outcome) {
                        world.first.ClearFaults();
                        world.store.Heal();
                        world.Restart();
                        EXPECT_EQ(world.Find(name) != nullptr, outcome.has_value());
                      }});
  }
}

}  // namespace
}  // namespace kms
