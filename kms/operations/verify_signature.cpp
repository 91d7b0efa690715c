// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/verify_signature.h"

#include "kms/base/base64.h"
#include "kms/base/base64url.h"
#include "kms/crypto/signature.h"
#include "kms/keys/ciphertext.h"
#include "kms/operations/proof_text.h"
#include "kms/operations/signing_key.h"

namespace kms {

namespace {

constexpr ProofFaults kFaults{
    .no_prefix = "invalid signature: no prefix",
    .wrong_fields = "invalid signature: wrong number of fields",
    .bad_version = "invalid signature: version number could not be decoded",
    .too_new = "invalid signature: version is too new",
    .too_old = "ciphertext or signature version is disallowed by policy (too old)"};

Result<Bytes> DecodeStandard(std::string_view payload) {
  Bytes bytes(Base64DecodedBound(payload.size()));
  bytes.resize(KMS_TRY(DecodeCiphertextPayload(payload, bytes)));
  return bytes;
}

Result<Bytes> DecodePayload(SignatureMarshaling marshaling, std::string_view payload) {
  Result<Bytes> decoded = marshaling == SignatureMarshaling::kJws ? Base64UrlDecode(payload)
                                                                  : DecodeStandard(payload);
  if (!decoded.has_value()) {
    return InvalidArgument("invalid base64 signature value");
  }
  return decoded;
}

}  // namespace

Result<SignatureVerdict> VerifySignature(const Key& key, const VerifySignatureInput& input) {
  const ProofText proof = KMS_TRY(ParseProof(input.signature, kFaults));
  KMS_TRY(FindProofVersion(key, proof.version, kFaults));
  const SignatureOptions options = KMS_TRY(OptionsFor(key, input.request));
  const Bytes signature = KMS_TRY(DecodePayload(options.marshaling, proof.payload));
  const AsymmetricKey pair = KMS_TRY(ChooseSigningKey(key, proof.version, input.context));
  const bool valid = KMS_TRY(VerifySignature(pair, options, input.input, signature));
  return SignatureVerdict{.valid = valid, .version = proof.version};
}

}  // namespace kms
