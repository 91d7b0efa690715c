// SPDX-License-Identifier: Apache-2.0
// An encrypted share, format 1 (numbers big-endian):
//
//   'H' | format(1) | method(1) | SHA-256 of the holder's SubjectPublicKeyInfo(32)
//   | size(4) | encapsulation | ciphertext | tag(16)
//   `------------ head ------------'
//
//   method 1: encapsulation = RSAES-OAEP(SHA-256, MGF1-SHA-256, no label) of 32 fresh bytes: the
//   seed method 2: encapsulation = a fresh X25519 public key (32); the seed is the shared secret
//   (RFC 7748)
//
//   key(32) || nonce(12) = HKDF-SHA-256(seed, salt = SHA-256(head), "kms share encryption v1")
//   AES-256-GCM, AAD = head || context. Key and nonce serve this one message.
#include "kms/crypto/share_encryption.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "kms/base/digest.h"
#include "kms/base/random.h"
#include "kms/base/record_codec.h"
#include "kms/crypto/aead.h"
#include "kms/crypto/hkdf.h"
#include "kms/crypto/key_import.h"
#include "kms/crypto/pem_text.h"
#include "kms/crypto/rsa_encryption.h"

namespace kms {

namespace {

constexpr char kKind = 'H';
constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kRsaOaep = 1;
constexpr std::uint8_t kX25519 = 2;
constexpr std::size_t kSeedBytes = 32;
constexpr std::size_t kX25519Bytes = 32;
constexpr std::size_t kMaxSecretBytes = 4096;
constexpr AeadAlgorithm kCipher = AeadAlgorithm::kAes256Gcm;

// scrypt with 16 MiB, which is what openssl reads without being told more.
constexpr std::uint64_t kScryptCost = 16384;
constexpr std::uint64_t kScryptBlock = 8;
constexpr std::uint64_t kScryptParallel = 8;
constexpr std::size_t kScryptSaltBytes = 16;

// Everything but the key of the two encodings of RFC 8410.
constexpr std::array<std::uint8_t, 12> kPublicPrefix = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                                        0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00};
constexpr std::array<std::uint8_t, 16> kPrivatePrefix = {
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20};

struct KeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct KeyContextDeleter {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct InfoDeleter {
  void operator()(PKCS8_PRIV_KEY_INFO* info) const { PKCS8_PRIV_KEY_INFO_free(info); }
};
struct SignatureDeleter {
  void operator()(X509_SIG* encrypted) const { X509_SIG_free(encrypted); }
};
using KeyHandle = std::unique_ptr<EVP_PKEY, KeyDeleter>;

Error UnusableKey(std::string_view why) {
  return InvalidArgument("a holder's key is RSA of 3072 or 4096 bits or X25519: " +
                         std::string(why));
}

Error DoesNotOpen() {
  return MakeError(ErrorCode::kDecryptionFailed, "the share does not open by this key");
}

Error Failed(const char* what) {
  ERR_clear_error();
  return Internal(what);
}

bool IsX25519(ByteView spki) {
  return spki.size() == kPublicPrefix.size() + kX25519Bytes &&
         std::ranges::equal(spki.first(kPublicPrefix.size()), kPublicPrefix);
}

Bytes X25519Spki(ByteView public_key) {
  Bytes spki(kPublicPrefix.begin(), kPublicPrefix.end());
  spki.insert(spki.end(), public_key.begin(), public_key.end());
  return spki;
}

// ---- X25519 -------------------------------------------------------------------------------------

Result<Bytes> X25519PublicKey(ByteView scalar) {
  const KeyHandle key(
      EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, scalar.data(), scalar.size()));
  Bytes out(kX25519Bytes);
  std::size_t size = out.size();
  if (key == nullptr || EVP_PKEY_get_raw_public_key(key.get(), out.data(), &size) != 1) {
    return Failed("X25519 key");
  }
  return out;
}

// nullopt for a point of small order: the secret would be zero whatever the scalar.
Result<std::optional<SecretBytes>> Agree(ByteView scalar, ByteView peer) {
  const KeyHandle own(
      EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, scalar.data(), scalar.size()));
  const KeyHandle other(
      EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, peer.data(), peer.size()));
  if (own == nullptr || other == nullptr) {
    return Failed("X25519 keys");
  }
  const std::unique_ptr<EVP_PKEY_CTX, KeyContextDeleter> context(
      EVP_PKEY_CTX_new_from_pkey(nullptr, own.get(), nullptr));
  if (context == nullptr || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), other.get()) != 1) {
    return Failed("X25519 agreement");
  }
  SecretBytes secret = KMS_TRY(SecretBytes::OfSize(kX25519Bytes));
  std::size_t size = secret.size();
  if (EVP_PKEY_derive(context.get(), secret.MutableView().data(), &size) != 1) {
    ERR_clear_error();
    return std::optional<SecretBytes>();
  }
  return std::optional<SecretBytes>(std::move(secret));
}

Result<SecretBytes> FreshScalar() {
  SecretBytes scalar = KMS_TRY(SecretBytes::OfSize(kX25519Bytes));
  FillRandom(scalar.MutableView());
  return scalar;
}

// ---- public keys --------------------------------------------------------------------------------

std::optional<AsymmetricAlgorithm> RsaAlgorithmOf(ByteView spki) {
  for (const AsymmetricAlgorithm algorithm :
       {AsymmetricAlgorithm::kRsa3072, AsymmetricAlgorithm::kRsa4096}) {
    if (AsymmetricKey::FromPublicKey(algorithm, spki).has_value()) {
      return algorithm;
    }
  }
  return std::nullopt;
}

struct Encapsulated {
  std::uint8_t method = 0;
  SecretBytes seed;
  Bytes encapsulation;
};

Result<Encapsulated> EncapsulateToX25519(ByteView spki) {
  const SecretBytes scalar = KMS_TRY(FreshScalar());
  std::optional<SecretBytes> seed = KMS_TRY(Agree(scalar.View(), spki.last(kX25519Bytes)));
  if (!seed) {
    return UnusableKey("this X25519 key is a point of small order");
  }
  return Encapsulated{.method = kX25519,
                      .seed = *std::move(seed),
                      .encapsulation = KMS_TRY(X25519PublicKey(scalar.View()))};
}

Result<Encapsulated> Encapsulate(ByteView spki) {
  if (IsX25519(spki)) {
    return EncapsulateToX25519(spki);
  }
  const std::optional<AsymmetricAlgorithm> algorithm = RsaAlgorithmOf(spki);
  if (!algorithm) {
    return UnusableKey("this one is another");
  }
  const AsymmetricKey key = KMS_TRY(AsymmetricKey::FromPublicKey(*algorithm, spki));
  SecretBytes seed = KMS_TRY(SecretBytes::OfSize(kSeedBytes));
  FillRandom(seed.MutableView());
  Bytes encapsulation = KMS_TRY(OaepEncrypt(key, HashAlgorithm::kSha2_256, seed.View()));
  return Encapsulated{
      .method = kRsaOaep, .seed = std::move(seed), .encapsulation = std::move(encapsulation)};
}

// ---- the message --------------------------------------------------------------------------------

struct Message {
  std::uint8_t method = 0;
  ByteView holder;  // SHA-256 of the SubjectPublicKeyInfo
  ByteView encapsulation;
  ByteView head;
  ByteView sealed;
};

std::optional<Message> Parse(ByteView encrypted) {
  RecordReader reader(encrypted);
  Message message;
  reader.GetHead(kKind, kFormat);
  message.method = reader.Get<std::uint8_t>();
  message.holder = reader.GetRaw(kSha256Bytes);
  message.encapsulation = reader.GetSized();
  if (reader.failed()) {
    return std::nullopt;
  }
  const std::size_t head_bytes = 3 + kSha256Bytes + 4 + message.encapsulation.size();
  message.head = encrypted.first(head_bytes);
  message.sealed = encrypted.subspan(head_bytes);
  if (message.sealed.size() <= kAeadTagBytes ||
      message.sealed.size() > kMaxSecretBytes + kAeadTagBytes) {
    return std::nullopt;
  }
  return message;
}

Bytes HeadOf(const Encapsulated& encapsulated, ByteView spki) {
  RecordWriter head(kKind, kFormat);
  head.Put(encapsulated.method);
  head.PutRaw(Sha256(spki));
  head.PutSized(encapsulated.encapsulation);
  return head.Take();
}

Result<SecretBytes> KeyAndNonce(const SecretBytes& seed, ByteView head) {
  return HkdfSha256(seed.View(), Sha256(head), AsBytes("kms share encryption v1"),
                    AeadKeyBytes(kCipher) + kAeadNonceBytes);
}

Bytes AssociatedData(ByteView head, ByteView context) {
  Bytes data = CopyOf(head);
  data.insert(data.end(), context.begin(), context.end());
  return data;
}

// ---- private keys as text -----------------------------------------------------------------------

struct PassphraseRequest {
  const HolderPrivateKey::AskPassphrase& ask;
  std::optional<Error> error;
  bool asked = false;
};

int GivePassphrase(char* out, int room, int /*writing*/, void* context) {
  auto& request = *static_cast<PassphraseRequest*>(context);
  request.asked = true;
  if (!request.ask) {
    request.error = InvalidArgument("the private key is encrypted; its passphrase is needed");
    return -1;
  }
  const Result<SecretBytes> passphrase = request.ask();
  if (!passphrase.has_value()) {
    request.error = passphrase.error();
    return -1;
  }
  if (passphrase->size() > static_cast<std::size_t>(room)) {
    request.error = InvalidArgument("the passphrase is too long");
    return -1;
  }
  std::ranges::copy(passphrase->View(), out);
  return static_cast<int>(passphrase->size());
}

Result<KeyHandle> ReadPrivateKey(std::string_view pem, const HolderPrivateKey::AskPassphrase& ask) {
  const std::unique_ptr<BIO, BioDeleter> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  PassphraseRequest request{.ask = ask, .error = std::nullopt, .asked = false};
  KeyHandle key(bio == nullptr
                    ? nullptr
                    : PEM_read_bio_PrivateKey(bio.get(), nullptr, &GivePassphrase, &request));
  ERR_clear_error();
  if (request.error) {
    return *std::move(request.error);
  }
  if (key == nullptr) {
    return InvalidArgument(request.asked ? "the private key does not open by this passphrase"
                                         : "no private key in PEM format");
  }
  return key;
}

Result<SecretBytes> X25519PrivateInfo(const SecretBytes& scalar) {
  SecretBytes info = KMS_TRY(SecretBytes::OfSize(kPrivatePrefix.size() + scalar.size()));
  std::ranges::copy(kPrivatePrefix, info.MutableView().begin());
  std::ranges::copy(scalar.View(), info.MutableView().begin() + kPrivatePrefix.size());
  return info;
}

// PBES2 with scrypt and AES-256-CBC (RFC 8018, RFC 7914), DER.
Result<Bytes> EncryptInfo(const SecretBytes& info, const SecretBytes& passphrase) {
  const unsigned char* in = info.View().data();
  const std::unique_ptr<PKCS8_PRIV_KEY_INFO, InfoDeleter> parsed(
      d2i_PKCS8_PRIV_KEY_INFO(nullptr, &in, static_cast<long>(info.size())));
  std::array<unsigned char, kScryptSaltBytes> salt{};
  FillRandom(salt);
  X509_ALGOR* pbe =
      PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt.data(), static_cast<int>(salt.size()), nullptr,
                            kScryptCost, kScryptBlock, kScryptParallel);
  if (parsed == nullptr || pbe == nullptr) {
    X509_ALGOR_free(pbe);
    return Failed("preparing to encrypt a private key");
  }
  const std::unique_ptr<X509_SIG, SignatureDeleter> encrypted(
      PKCS8_set0_pbe(reinterpret_cast<const char*>(passphrase.View().data()),
                     static_cast<int>(passphrase.size()), parsed.get(), pbe));
  if (encrypted == nullptr) {
    X509_ALGOR_free(pbe);  // taken over only on success
    return Failed("encrypting a private key");
  }
  const int size = i2d_X509_SIG(encrypted.get(), nullptr);
  Bytes der(static_cast<std::size_t>(std::max(size, 0)));
  unsigned char* out = der.data();
  if (size <= 0 || i2d_X509_SIG(encrypted.get(), &out) != size) {
    return Failed("encoding a private key");
  }
  return der;
}

}  // namespace

Result<Bytes> ReadHolderPublicKey(std::string_view pem) {
  const std::optional<internal::PemBlock> block = internal::DecodePem(pem);
  if (!block || block->label != "PUBLIC KEY") {
    return UnusableKey("no \"PUBLIC KEY\" in PEM format (make one with `openssl pkey -pubout`)");
  }
  KMS_TRY(CheckHolderPublicKey(block->content));
  return block->content;
}

Status CheckHolderPublicKey(ByteView spki) {
  if (IsX25519(spki)) {
    KMS_TRY(EncapsulateToX25519(spki));
    return Ok();
  }
  const std::optional<AsymmetricAlgorithm> algorithm = RsaAlgorithmOf(spki);
  if (!algorithm) {
    return UnusableKey("this one is another");
  }
  const Result<AsymmetricKey> key = ImportPublicKeyDer(*algorithm, spki);
  if (!key.has_value()) {
    return UnusableKey(key.error().public_message);
  }
  return Ok();
}

std::string_view HolderKeyKind(ByteView spki) {
  if (IsX25519(spki)) {
    return "X25519";
  }
  const std::optional<AsymmetricAlgorithm> algorithm = RsaAlgorithmOf(spki);
  if (!algorithm) {
    return "unknown";
  }
  return *algorithm == AsymmetricAlgorithm::kRsa3072 ? "RSA-3072" : "RSA-4096";
}

std::string HolderKeyFingerprint(ByteView spki) {
  constexpr std::size_t kGroup = 8;
  const std::string digits = HexEncode(Sha256(spki));
  std::string text;
  for (std::size_t at = 0; at < digits.size(); at += kGroup) {
    text += (at == 0 ? "" : " ") + digits.substr(at, kGroup);
  }
  return text;
}

std::string HolderPublicKeyPem(ByteView spki) {
  return internal::EncodePem("PUBLIC KEY", spki, internal::PemEnding::kNewline);
}

Result<Bytes> EncryptToHolder(ByteView spki, const SecretBytes& secret, ByteView context) {
  if (secret.empty() || secret.size() > kMaxSecretBytes) {
    return InvalidArgument("a secret for a holder has 1 to 4096 bytes");
  }
  const Encapsulated encapsulated = KMS_TRY(Encapsulate(spki));
  Bytes encrypted = HeadOf(encapsulated, spki);
  const Bytes associated_data = AssociatedData(encrypted, context);
  const SecretBytes material = KMS_TRY(KeyAndNonce(encapsulated.seed, encrypted));
  const std::size_t head_bytes = encrypted.size();
  encrypted.resize(head_bytes + secret.size() + kAeadTagBytes);
  KMS_TRY(Aead::SealOnce(kCipher, material.View().first(AeadKeyBytes(kCipher)),
                         material.View().last(kAeadNonceBytes), associated_data, secret.View(),
                         MutableByteView(encrypted).subspan(head_bytes)));
  return encrypted;
}

bool IsEncryptedTo(ByteView encrypted, ByteView spki) {
  const std::optional<Message> message = Parse(encrypted);
  return message && std::ranges::equal(message->holder, Sha256(spki));
}

Result<HolderPrivateKey> HolderPrivateKey::FromX25519(SecretBytes scalar) {
  const Bytes public_key = KMS_TRY(X25519PublicKey(scalar.View()));
  return HolderPrivateKey(X25519Spki(public_key), std::nullopt, std::move(scalar));
}

Result<HolderPrivateKey> HolderPrivateKey::Generate() { return FromX25519(KMS_TRY(FreshScalar())); }

Result<HolderPrivateKey> HolderPrivateKey::FromPem(std::string_view pem, const AskPassphrase& ask) {
  KeyHandle key = KMS_TRY(ReadPrivateKey(pem, ask));
  if (EVP_PKEY_is_a(key.get(), "X25519") == 1) {
    SecretBytes scalar = KMS_TRY(SecretBytes::OfSize(kX25519Bytes));
    std::size_t size = scalar.size();
    if (EVP_PKEY_get_raw_private_key(key.get(), scalar.MutableView().data(), &size) != 1) {
      return Failed("reading an X25519 key");
    }
    return FromX25519(std::move(scalar));
  }
  const auto algorithm = EVP_PKEY_get_bits(key.get()) == 3072 ? AsymmetricAlgorithm::kRsa3072
                                                              : AsymmetricAlgorithm::kRsa4096;
  auto rsa = AsymmetricKey::Adopt(algorithm, std::shared_ptr<EVP_PKEY>(std::move(key)), true);
  if (!rsa.has_value()) {
    return UnusableKey("this private key is another");
  }
  Bytes public_key = KMS_TRY(rsa->PublicKey());
  return HolderPrivateKey(std::move(public_key), *std::move(rsa), SecretBytes());
}

Result<SecretBytes> HolderPrivateKey::ToPem() const {
  if (rsa_) {
    return FailedPrecondition("only X25519 keys are written");
  }
  const SecretBytes info = KMS_TRY(X25519PrivateInfo(x25519_));
  return internal::EncodeSecretPem("PRIVATE KEY", info.View(), internal::PemEnding::kNewline);
}

Result<SecretBytes> HolderPrivateKey::ToEncryptedPem(const SecretBytes& passphrase) const {
  if (rsa_) {
    return FailedPrecondition("only X25519 keys are written");
  }
  if (passphrase.empty()) {
    return InvalidArgument("the passphrase is empty");
  }
  const SecretBytes info = KMS_TRY(X25519PrivateInfo(x25519_));
  const Bytes encrypted = KMS_TRY(EncryptInfo(info, passphrase));
  return internal::EncodeSecretPem("ENCRYPTED PRIVATE KEY", encrypted,
                                   internal::PemEnding::kNewline);
}

Result<SecretBytes> HolderPrivateKey::Open(ByteView encrypted, ByteView context) const {
  const std::optional<Message> message = Parse(encrypted);
  const std::uint8_t method = rsa_ ? kRsaOaep : kX25519;
  if (!message || message->method != method ||
      !std::ranges::equal(message->holder, Sha256(public_key_)) ||
      (!rsa_ && message->encapsulation.size() != kX25519Bytes)) {
    return DoesNotOpen();
  }
  SecretBytes seed;
  if (rsa_) {
    Result<SecretBytes> opened =
        OaepDecrypt(*rsa_, HashAlgorithm::kSha2_256, message->encapsulation);
    if (!opened.has_value() || opened->size() != kSeedBytes) {
      return DoesNotOpen();
    }
    seed = *std::move(opened);
  } else {
    std::optional<SecretBytes> agreed = KMS_TRY(Agree(x25519_.View(), message->encapsulation));
    if (!agreed) {
      return DoesNotOpen();
    }
    seed = *std::move(agreed);
  }
  const SecretBytes material = KMS_TRY(KeyAndNonce(seed, message->head));
  SecretBytes secret = KMS_TRY(SecretBytes::OfSize(message->sealed.size() - kAeadTagBytes));
  const Status opened = Aead::OpenOnce(
      kCipher, material.View().first(AeadKeyBytes(kCipher)), material.View().last(kAeadNonceBytes),
      AssociatedData(message->head, context), message->sealed, secret.MutableView());
  if (!opened.has_value()) {
    return opened.error().code == ErrorCode::kDecryptionFailed ? DoesNotOpen() : opened.error();
  }
  return secret;
}

}  // namespace kms
