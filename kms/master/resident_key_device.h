// SPDX-License-Identifier: Apache-2.0
// ResidentKeyDevice: keys that are made in an HSM token, never leave it, and work there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/hash.h"
#include "kms/keys/resident_key.h"

namespace kms {

// Plaintext and associated data together: what fits a message to the HSM worker with room to spare.
inline constexpr std::size_t kMaxResidentMessageBytes = std::size_t{32} << 10U;
// The longest digest or bare input that a token is given to sign.
inline constexpr std::size_t kMaxResidentDigestBytes = 512;

enum class ResidentSignatureScheme : std::uint8_t { kEcdsa = 1, kRsaPkcs1v15 = 2, kRsaPss = 3 };

struct ResidentSignRequest {
  ResidentSignatureScheme scheme = ResidentSignatureScheme::kEcdsa;
  // That made `digest`; also of MGF1. nullopt: the bare bytes without DigestInfo (kRsaPkcs1v15),
  // or an ECDSA digest of unknown origin.
  std::optional<HashAlgorithm> hash = HashAlgorithm::kSha2_256;
  Bytes digest;                  // ECDSA: cut to the curve's size by the caller, not empty
  std::uint32_t salt_bytes = 0;  // kRsaPss
};

struct ResidentCiphertext {
  Bytes nonce;       // as the token used it: the record's nonce_bytes
  Bytes ciphertext;  // with the 16-byte tag at its end
};

// Thread rule and errors: as MasterKeyDevice; kInvalidArgument besides, for what the key or the
// token's mechanisms cannot do, naming it. Every operation is done by the token.
class ResidentKeyDevice {
 public:
  virtual ~ResidentKeyDevice() = default;

  // Private, sensitive, never extractable, local, for what its type does alone; refused and
  // destroyed if the attributes read back differ. CKA_ID = id. Repeating the call with the same id
  // adopts the key made before. A known answer is taken before the key is returned.
  // RSA takes up to seconds.
  virtual Result<ResidentKeyRecord> GenerateResidentKey(const Uuid& id, ResidentKeyType type,
                                                        const std::string& label,
                                                        Deadline deadline) = 0;
  // A key that exists already, by label, or by "id=<hex>". Errors besides: kNotFound,
  // kFailedPrecondition when several match, when the key may leave the token or do what its type
  // does not need, and for one of this service's own.
  virtual Result<ResidentKeyRecord> FindResidentKey(const std::string& reference,
                                                    Deadline deadline) = 0;
  // Destroys both halves. Success when it is already gone. Of the record `id` and `label` are looked
  // at: kFailedPrecondition, with nothing destroyed, when a key with the id has a label that does not
  // begin with that one, or is none of this service's.
  virtual Status DestroyResidentKey(const ResidentKeyRecord& key, Deadline deadline) = 0;

  // ECDSA: DER form. RSA: the modulus' size. Verified by the recorded public key before it is
  // returned.
  virtual Result<Bytes> ResidentSign(const ResidentKeyRecord& key,
                                     const ResidentSignRequest& request, Deadline deadline) = 0;
  // RSAES-OAEP with `hash` for hash and mask, or PKCS #1 v1.5 without one.
  // Errors besides: kDecryptionFailed for whatever does not open, whatever the cause.
  virtual Result<SecretBytes> ResidentRsaDecrypt(const ResidentKeyRecord& key,
                                                 std::optional<HashAlgorithm> hash,
                                                 ByteView ciphertext, Deadline deadline) = 0;
  // AES-256-GCM with a fresh random nonce of ours or the token's own.
  // Errors besides: kInvalidArgument above kMaxResidentMessageBytes.
  virtual Result<ResidentCiphertext> ResidentEncrypt(const ResidentKeyRecord& key,
                                                     const SecretBytes& plaintext, ByteView aad,
                                                     Deadline deadline) = 0;
  // Errors besides: kDecryptionFailed when it does not authenticate.
  virtual Result<SecretBytes> ResidentDecrypt(const ResidentKeyRecord& key,
                                              const ResidentCiphertext& ciphertext, ByteView aad,
                                              Deadline deadline) = 0;
  // The x coordinate of ECDH with an EC key (NIST SP 800-56A, 5.7.1.2), as long as the curve's
  // field. `peer_public_key` is a SubjectPublicKeyInfo on the key's curve. A known answer is taken
  // first. Errors besides: kInvalidArgument for another peer, or for a key that may not agree.
  virtual Result<SecretBytes> ResidentAgree(const ResidentKeyRecord& key, ByteView peer_public_key,
                                            Deadline deadline) = 0;
};

}  // namespace kms
