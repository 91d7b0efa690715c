// SPDX-License-Identifier: Apache-2.0
// ResidentFaults: keys that live in a token that misbehaves, SoftHSM behind the fault module.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/crypto/key_agreement.h"
#include "pkcs11/attributes.h"
#include "pkcs11/resident_object.h"
#include "tests/pkcs11/token_faults.h"

namespace kms::pkcs11 {

class ResidentFaults : public TokenFaults {
 protected:
  ResidentKeyRecord Make(ResidentKeyType type) {
    auto record =
        token_->GenerateResidentKey(Uuid::Random(), type, "kms/test/keys/app/1", InSeconds(60));
    EXPECT_THAT(record, ::kms::testing::IsOk());
    return record.value_or(ResidentKeyRecord{});
  }
  Result<Bytes> Sign(const ResidentKeyRecord& key) {
    return token_->ResidentSign(key, {.digest = Bytes(32, 5)}, InSeconds(20));
  }
  Result<ResidentCiphertext> Encrypt(const ResidentKeyRecord& key) {
    return token_->ResidentEncrypt(key, key_, context_, InSeconds(20));
  }
  Status Opens(const ResidentKeyRecord& key, const ResidentCiphertext& ciphertext) {
    const auto opened = token_->ResidentDecrypt(key, ciphertext, context_, InSeconds(20));
    if (!opened.has_value()) return opened.error();
    return *opened == key_ ? Ok() : Status(Internal("another plaintext"));
  }
  // Whether the token comes to the secret that a fresh peer comes to.
  Status Agrees(const ResidentKeyRecord& key) {
    const AsymmetricAlgorithm algorithm = *AsymmetricAlgorithmOf(key.type);
    const AsymmetricKey peer = KMS_TRY(AsymmetricKey::Generate(algorithm));
    const Bytes peer_public = KMS_TRY(peer.PublicKey());
    const AsymmetricKey own = KMS_TRY(AsymmetricKey::FromPublicKey(algorithm, key.public_key));
    const SecretBytes of_peer = KMS_TRY(internal::EcdhSharedSecret(peer, own));
    const SecretBytes of_token = KMS_TRY(token_->ResidentAgree(key, peer_public, InSeconds(20)));
    return of_token == of_peer ? Ok() : Status(Internal("another secret"));
  }
  // Secrets of sessions that are left in the token.
  std::size_t CountLooseSecrets() {
    std::size_t count = 0;
    WithRawSession([&](Session& session) {
      AttributeList wanted;
      wanted.Number(CKA_CLASS, CKO_SECRET_KEY).Number(CKA_KEY_TYPE, CKK_GENERIC_SECRET);
      const auto found = session.Find(wanted.span());
      ASSERT_THAT(found, ::kms::testing::IsOk());
      count = found->size();
    });
    return count;
  }
  std::size_t CountObjects(const Bytes& id) {
    std::size_t count = 0;
    WithRawSession([&](Session& session) {
      const auto found = FindResidentObjects(session, id);
      ASSERT_THAT(found, ::kms::testing::IsOk());
      count = found->secrets.size() + found->publics.size();
    });
    return count;
  }
};

}  // namespace kms::pkcs11
