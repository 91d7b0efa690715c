// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/verify_hmac.h"

#include "kms/base/base64.h"
#include "kms/crypto/hmac.h"
#include "kms/keys/ciphertext.h"
#include "kms/operations/hmac.h"
#include "kms/operations/proof_text.h"

namespace kms {

namespace {

constexpr ProofFaults kFaults{
    .no_prefix = "invalid HMAC to verify: no prefix",
    .wrong_fields = "invalid HMAC: wrong number of fields",
    .bad_version = "invalid HMAC: version number could not be decoded",
    .too_new = "invalid HMAC: version is too new",
    .too_old = "cannot verify HMAC: version is too old (disallowed by policy)"};

Result<Bytes> DecodePayload(std::string_view payload) {
  constexpr std::string_view kText = "unable to decode verification HMAC as base64: ";
  Result<Bytes> decoded = Base64Decode(payload);
  if (!decoded.has_value()) {
    return InvalidArgument(std::string(kText) + decoded.error().public_message);
  }
  // What was decoded once is refused only for bits beyond its last byte.
  Bytes again(Base64DecodedBound(payload.size()));
  if (!DecodeCiphertextPayload(payload, again).has_value()) {
    return InvalidArgument(std::string(kText) + "bits after the last byte are not zero");
  }
  return decoded;
}

}  // namespace

Result<HmacVerdict> VerifyHmac(const Key& key, const VerifyHmacInput& input) {
  KMS_TRY(CheckHasHmacKey(key.policy()));
  const ProofText proof = KMS_TRY(ParseProof(input.hmac, kFaults));
  const Bytes expected = KMS_TRY(DecodePayload(proof.payload));
  const KeyVersion* version = KMS_TRY(FindProofVersion(key, proof.version, kFaults));
  const bool valid = KMS_TRY(
      CheckHmac(input.algorithm, version->hmac_key.View(), input.input, expected));
  return HmacVerdict{.valid = valid, .version = proof.version};
}

}  // namespace kms
