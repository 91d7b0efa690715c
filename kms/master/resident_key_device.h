// SPDX-License-Identifier: Apache-2.0
// ResidentKeyDevice: keys that are made in an HSM token, never leave it, and work there.
#pragma once

#include <cstdint>
#include <string>

#include "kms/base/bytes.h"
#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/hash.h"

namespace kms {

// Our own numbers, stored: do not change or reuse.
enum class ResidentKeyType : std::uint8_t {
  kAes256Gcm = 1,
  kRsa2048 = 2,
  kRsa3072 = 3,
  kRsa4096 = 4,
  kEcdsaP256 = 5,
  kEcdsaP384 = 6,
  kEcdsaP521 = 7,
};
std::string_view ResidentKeyTypeName(ResidentKeyType type);

// What is stored of a key in a token.
struct ResidentKeyRecord {
  Bytes id;           // CKA_ID; 16 bytes for ours, 1..255 for one that existed before
  std::string label;  // CKA_LABEL, for people
  ResidentKeyType type = ResidentKeyType::kEcdsaP256;
  std::string token_label;   // a hint for people
  std::string token_serial;  // a hint for people
  Bytes public_key;          // SubjectPublicKeyInfo DER; empty for kAes256Gcm
  friend bool operator==(const ResidentKeyRecord&, const ResidentKeyRecord&) = default;
};

enum class ResidentSignatureScheme : std::uint8_t { kEcdsa = 1, kRsaPkcs1v15 = 2, kRsaPss = 3 };

struct ResidentSignRequest {
  ResidentSignatureScheme scheme = ResidentSignatureScheme::kEcdsa;
  HashAlgorithm hash = HashAlgorithm::kSha2_256;  // that made `digest`; also of MGF1
  Bytes digest;
  std::uint32_t salt_bytes = 0;  // kRsaPss
};

struct ResidentCiphertext {
  Bytes nonce;       // 12 bytes, as the token used it
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
  virtual Result<ResidentKeyRecord> GenerateResidentKey(const Uuid& id, ResidentKeyType type,
                                                        const std::string& label,
                                                        Deadline deadline) = 0;
  // A key that exists already, by label, or by "id=<hex>". Errors besides: kNotFound,
  // kFailedPrecondition when several match or the key may leave the token.
  virtual Result<ResidentKeyRecord> FindResidentKey(const std::string& reference,
                                                    Deadline deadline) = 0;
  // Success when it is already gone.
  virtual Status DestroyResidentKey(const ResidentKeyRecord& key, Deadline deadline) = 0;

  // ECDSA: DER form. RSA: the modulus' size.
  virtual Result<Bytes> ResidentSign(const ResidentKeyRecord& key,
                                     const ResidentSignRequest& request, Deadline deadline) = 0;
  // RSAES-OAEP with `hash` for hash and mask, or PKCS #1 v1.5 when `hash` is kNone.
  // Errors besides: kInvalidArgument for whatever does not open, whatever the cause.
  virtual Result<SecretBytes> ResidentRsaDecrypt(const ResidentKeyRecord& key, HashAlgorithm hash,
                                                 ByteView ciphertext, Deadline deadline) = 0;
  // AES-256-GCM with a fresh random nonce of ours or the token's own.
  virtual Result<ResidentCiphertext> ResidentEncrypt(const ResidentKeyRecord& key,
                                                     const SecretBytes& plaintext, ByteView aad,
                                                     Deadline deadline) = 0;
  // Errors besides: kInvalidArgument when it does not authenticate.
  virtual Result<SecretBytes> ResidentDecrypt(const ResidentKeyRecord& key,
                                              const ResidentCiphertext& ciphertext, ByteView aad,
                                              Deadline deadline) = 0;
};

}  // namespace kms
