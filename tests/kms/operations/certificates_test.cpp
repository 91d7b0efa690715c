// SPDX-License-Identifier: Apache-2.0
// csr, set-certificate and derive-key: with the openssl program as certificate authority and peer.
#include <gmock/gmock.h>

#include "kms/operations/configure_key.h"
#include "kms/operations/create_csr.h"
#include "kms/operations/derive_key.h"
#include "kms/operations/set_certificate.h"
#include "tests/fakes/fault_plan.h"
#include "tests/kms/operations/transfer_world.h"

namespace kms {
namespace {

using testing::FailEachCall;
using testing::HasError;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::NameOf;
using testing::OpensslCommand;
using testing::PemOf;
using testing::TestKey;
using testing::TestKeyPkcs8;
using testing::TransferWorld;
using enum ErrorCode;

constexpr AsymmetricAlgorithm kEc = AsymmetricAlgorithm::kEcdsaP256;

std::string CsrOf(TransferWorld& world, std::string_view name, std::string_view csr_template = {}) {
  return CreateCsr(world.Find(name).get(), NameOf(name),
                   {.version = 0, .template_pem = csr_template})
      .value()
      .csr;
}

// A certificate authority that signs what it is asked for: the chain, leaf first.
class Authority {
 public:
  Authority() {
    EXPECT_TRUE(
        openssl_.Run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 "
                     "-keyout ca.key -out ca.pem -subj /CN=authority"));
  }
  std::string ChainFor(const std::string& csr) {
    openssl_.Write("leaf.csr", csr);
    EXPECT_TRUE(openssl_.Run(
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -out leaf.pem"));
    return openssl_.Text("leaf.pem") + openssl_.Text("ca.pem");
  }
  OpensslCommand& openssl() { return openssl_; }

 private:
  OpensslCommand openssl_;
};

TEST(CreateCsr, IsVerifiedByOpensslForEverySigningType) {
  TransferWorld world;
  OpensslCommand openssl;
  ASSERT_TRUE(
      openssl.Run("req -new -newkey rsa:2048 -nodes -keyout t.key -out t.csr -subj "
                  "/C=DE/O=Example/CN=web -addext subjectAltName=DNS:web.example"));
  const std::string csr_template = openssl.Text("t.csr");
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    if (!traits.is_asymmetric()) {
      continue;
    }
    const std::string name(traits.name);
    ASSERT_THAT(world.ImportBytes(name, traits.type, TestKeyPkcs8(traits.asymmetric)), IsOk());
    openssl.Write("made.csr", CsrOf(world, name, csr_template));
    EXPECT_TRUE(openssl.Run("req -in made.csr -verify -noout -text")) << name;
    ASSERT_TRUE(openssl.Run("req -in made.csr -noout -text"));
    EXPECT_THAT(openssl.Output(), HasSubstr("DNS:web.example")) << name;
    ASSERT_TRUE(openssl.Run("req -in made.csr -noout -pubkey"));
    const std::string public_key = openssl.Output();
    openssl.Write("public.der", TestKey(traits.asymmetric).PublicKey().value());
    ASSERT_TRUE(openssl.Run("pkey -pubin -inform DER -in public.der -pubout"));
    EXPECT_EQ(openssl.Output(), public_key) << name;
  }
}

TEST(CreateCsr, RefusesByTheTextsOfTheReference) {
  TransferWorld world;
  ASSERT_THAT(world.ImportBytes("aes", KeyType::kAes256Gcm96, Bytes(32, 1)), IsOk());
  ASSERT_THAT(world.ImportBytes("ec", KeyType::kEcdsaP256, TestKeyPkcs8(kEc)), IsOk());
  ASSERT_THAT(world.ImportPublic("half", KeyType::kEcdsaP256, TestKey(kEc)), IsOk());
  const std::string blob = world.Blob(TestKeyPkcs8(AsymmetricAlgorithm::kEd25519));
  ASSERT_THAT(
      world.Import("derived",
                   {.type = KeyType::kEd25519, .source = {.ciphertext = blob}, .derived = true}),
      IsOk());
  const struct {
    std::string name;
    CreateCsrRequest request;
    std::string text;
  } refusals[] = {
      {"none", {}, "key with provided name 'none' not found"},
      {"aes", {}, "key type 'aes256-gcm96' does not support signing"},
      {"derived", {}, "operation not supported for keys with derivation enabled"},
      {"ec", {.version = 2, .template_pem = {}}, "could not create the csr: no such key version"},
      {"ec", {.version = -1, .template_pem = {}}, "could not create the csr: no such key version"},
      {"ec", {.version = 0, .template_pem = "nonsense"}, "could not decode PEM CSR"},
      {"half", {}, "could not create the csr: private key not imported for key version selected"},
  };
  for (const auto& [name, request, text] : refusals) {
    EXPECT_THAT(CreateCsr(world.Find(name).get(), NameOf(name), request),
                HasError(kInvalidArgument, text))
        << name;
  }
}

TEST(SetCertificate, KeepsTheChainWithItsVersionForGood) {
  TransferWorld world;
  Authority authority;
  ASSERT_THAT(world.ImportBytes("ec", KeyType::kEcdsaP256, TestKeyPkcs8(kEc, 0)), IsOk());
  ASSERT_THAT(world.ImportVersionBytes("ec", TestKeyPkcs8(kEc, 1)), IsOk());
  const std::string chain = authority.ChainFor(
      CreateCsr(world.Find("ec").get(), NameOf("ec"), {.version = 1, .template_pem = {}})->csr);

  KMS_ASSERT_OK_AND_ASSIGN(
      const SetCertificateOutcome outcome,
      SetCertificate(world.environment(), NameOf("ec"), {.version = 1, .chain_pem = chain}));
  EXPECT_EQ(outcome.version, 1U);
  EXPECT_EQ(outcome.key->FindVersion(1)->certificate_chain.size(), 2U);
  EXPECT_TRUE(outcome.key->FindVersion(2)->certificate_chain.empty());
  world.ExpectArchived("ec");

  KeyConfigChange change;
  change.min_decryption_version = 2;
  ASSERT_THAT(ConfigureKey(world.environment(), NameOf("ec"), change), IsOk());
  EXPECT_THAT(SetCertificate(world.environment(), NameOf("ec"), {.version = 1, .chain_pem = chain}),
              HasError(kInvalidArgument, "no such key version"));
  change.min_decryption_version = 1;
  ASSERT_THAT(ConfigureKey(world.environment(), NameOf("ec"), change), IsOk());
  EXPECT_EQ(world.Find("ec")->FindVersion(1)->certificate_chain.size(), 2U)
      << "the archive has the chain too";
}

TEST(SetCertificate, RefusesByTheTextsOfTheReference) {
  TransferWorld world;
  Authority authority;
  ASSERT_THAT(world.ImportBytes("aes", KeyType::kAes256Gcm96, Bytes(32, 1)), IsOk());
  ASSERT_THAT(world.ImportBytes("ec", KeyType::kEcdsaP256, TestKeyPkcs8(kEc, 0)), IsOk());
  ASSERT_THAT(world.ImportBytes("ec2", KeyType::kEcdsaP256, TestKeyPkcs8(kEc, 1)), IsOk());
  const std::string chain = authority.ChainFor(CsrOf(world, "ec"));
  const std::string other = authority.ChainFor(CsrOf(world, "ec2"));
  const struct {
    std::string name;
    SetCertificateRequest request;
    std::string text;
  } refusals[] = {
      {"none", {.version = 0, .chain_pem = chain}, "key with provided name 'none' not found"},
      {"aes",
       {.version = 0, .chain_pem = chain},
       "key type 'aes256-gcm96' does not support signing"},
      {"ec", {.version = 2, .chain_pem = chain}, "no such key version"},
      {"ec",
       {.version = 0, .chain_pem = other},
       "leaf certificate public key does not match the selected key version"},
      {"ec",
       {.version = 0, .chain_pem = ""},
       "provided certificate chain did not contain any valid PEM encoded certificate"},
  };
  for (const auto& [name, request, text] : refusals) {
    EXPECT_THAT(SetCertificate(world.environment(), NameOf(name), request),
                HasError(kInvalidArgument, text))
        << text;
  }
  EXPECT_TRUE(world.Find("ec")->FindVersion(1)->certificate_chain.empty());
}

TEST(SetCertificate, D2_EachStoreCallMayFail) {
  Authority authority;
  std::unique_ptr<TransferWorld> world;
  std::string chain;
  FailEachCall({.arrange =
                    [&](int n) {
                      world = std::make_unique<TransferWorld>();
                      ASSERT_THAT(world->ImportBytes("ec", KeyType::kEcdsaP256, TestKeyPkcs8(kEc)),
                                  IsOk());
                      if (chain.empty()) {
                        chain = authority.ChainFor(CsrOf(*world, "ec"));
                      }
                      world->store().FailCall(n);
                    },
                .run = [&]() -> Status {
                  KMS_TRY(SetCertificate(world->environment(), NameOf("ec"),
                                         {.version = 0, .chain_pem = chain}));
                  return Ok();
                },
                .check =
                    [&](const Status& outcome) {
                      world->store().Heal();
                      world->Restart();
                      world->ExpectArchived("ec");
                      EXPECT_EQ(outcome.has_value(),
                                !world->Find("ec")->FindVersion(1)->certificate_chain.empty());
                    }});
}

TEST(DeriveKey, AgreesWithOpensslOnTheKey) {
  TransferWorld world;
  OpensslCommand openssl;
  ASSERT_THAT(world.ImportBytes("base", KeyType::kEcdsaP256, TestKeyPkcs8(kEc)), IsOk());
  ASSERT_TRUE(openssl.Run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out peer.key"));
  ASSERT_TRUE(openssl.Run("pkey -in peer.key -pubout -out peer.pem"));
  openssl.Write("base.pem", PemOf(TestKey(kEc)));
  ASSERT_TRUE(openssl.Run("pkeyutl -derive -inkey peer.key -peerkey base.pem -out shared"));
  std::string hex = HexEncode(openssl.Content("shared"));
  for (const auto& [type, name, size] : {std::tuple{KeyType::kAes256Gcm96, "aes256", 32},
                                         {KeyType::kAes128Gcm96, "aes128", 16},
                                         {KeyType::kXChaCha20Poly1305, "xchacha", 32},
                                         {KeyType::kHmac, "hmac", 32}}) {
    KMS_ASSERT_OK_AND_ASSIGN(
        const KeyHandle key,
        DeriveKey(
            world.environment(), NameOf(name),
            {.peer_public_key = openssl.Text("peer.pem"), .base_key_name = "base", .type = type}));
    ASSERT_TRUE(openssl.Run("kdf -keylen " + std::to_string(size) +
                            " -kdfopt digest:SHA256 -kdfopt hexkey:" + hex +
                            " -kdfopt salt: -kdfopt info: -binary -out derived HKDF"));
    EXPECT_EQ(CopyOf(key->FindVersion(1)->material.View()), openssl.Content("derived")) << name;
    EXPECT_TRUE(key->policy().imported);
    EXPECT_FALSE(key->policy().exportable);
    world.ExpectArchived(name);
  }
}

TEST(DeriveKey, RefusesByTheTextsOfTheReference) {
  TransferWorld world;
  ASSERT_THAT(world.ImportBytes("base", KeyType::kEcdsaP256, TestKeyPkcs8(kEc)), IsOk());
  ASSERT_THAT(world.ImportPublic("half", KeyType::kEcdsaP256, TestKey(kEc)), IsOk());
  ASSERT_THAT(world.ImportBytes("aes", KeyType::kAes256Gcm96, Bytes(32, 1)), IsOk());
  const std::string peer = PemOf(TestKey(kEc, 1));
  const std::string p384 = PemOf(TestKey(AsymmetricAlgorithm::kEcdsaP384));
  const struct {
    DeriveKeyRequest request;
    std::string text;
  } refusals[] = {
      {{.algorithm = "x25519", .peer_public_key = peer, .base_key_name = "base"},
       "key derivation algorithm x25519 not supported"},
      {{.base_key_name = "base"}, "peer public key not provided"},
      {{.peer_public_key = peer, .base_key_name = "base", .type = KeyType::kEd25519},
       "unknown key type ed25519"},
      {{.peer_public_key = peer, .base_key_name = "none"}, "specified base key not found"},
      {{.peer_public_key = peer, .base_key_name = ""}, "specified base key not found"},
      {{.peer_public_key = peer, .base_key_name = "a/b"}, "specified base key not found"},
      {{.peer_public_key = peer, .base_key_name = "aes"},
       "base key type aes256-gcm96 does not support key agreement"},
      {{.peer_public_key = peer, .base_key_name = "base", .base_key_version = 2},
       "no such key version"},
      {{.peer_public_key = peer, .base_key_name = "half"},
       "base key version does not have a private counterpart"},
      {{.peer_public_key = p384, .base_key_name = "base"}, "error parsing peer public key: "},
      {{.peer_public_key = "nonsense", .base_key_name = "base"}, "error parsing peer public key: "},
  };
  for (const auto& [request, text] : refusals) {
    EXPECT_THAT(DeriveKey(world.environment(), NameOf("new"), request),
                HasError(kInvalidArgument, HasSubstr(text)))
        << text;
    EXPECT_EQ(world.Find("new"), nullptr) << text;
  }
  EXPECT_THAT(DeriveKey(world.environment(), NameOf("aes"),
                        {.peer_public_key = peer, .base_key_name = "base"}),
              HasError(kAlreadyExists, "key \"aes\" already exists"));
}

}  // namespace
}  // namespace kms
