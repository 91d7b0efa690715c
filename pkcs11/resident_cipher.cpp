// SPDX-License-Identifier: Apache-2.0
// Decryption and encryption by resident keys. Tokens refuse a ciphertext with the return values of
// a dead device: whether the key still opens its own decides.
#include <algorithm>
#include <array>

#include "kms/base/random.h"
#include "kms/crypto/nonce.h"
#include "kms/crypto/rsa_encryption.h"
#include "pkcs11/gcm_mechanism.h"
#include "pkcs11/import_key.h"
#include "pkcs11/resident_use.h"

namespace kms::pkcs11 {
namespace {

constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kTestBytes = 32;

Error DoesNotOpen() {
  return MakeError(ErrorCode::kDecryptionFailed, "the HSM does not open the ciphertext", {});
}

// With these a token may refuse a ciphertext, whatever is wrong with it.
bool MayMeanTheCiphertext(const Rv& rv) {
  return rv.kind() == RvKind::kIntegrity || rv.kind() == RvKind::kAmbiguous ||
         rv.kind() == RvKind::kPolicy;
}

Result<SecretBytes> TestSecret() {
  SecretBytes secret = KMS_TRY(SecretBytes::OfSize(kTestBytes));
  FillRandom(secret.MutableView());
  return secret;
}

// `still_opens` tries the key in a session of its own: some modules leave one unusable after a
// failure.
template <typename StillOpens>
Error JudgeFailure(const ResidentUse& use, const Error& error, const StillOpens& still_opens) {
  const std::optional<Rv>& failure = use.session.failure();
  if (!failure.has_value() || !MayMeanTheCiphertext(*failure)) return error;
  auto session = Session::OpenBeside(use.session, use.connection.facts().slot);
  return session.has_value() && still_opens(*session) ? DoesNotOpen() : error;
}

// ---- RSA ---------------------------------------------------------------------------------------

Result<SecretBytes> DecryptPkcs1(Session& session, CK_OBJECT_HANDLE key, ByteView ciphertext) {
  CK_MECHANISM mechanism{CKM_RSA_PKCS, nullptr, 0};
  return session.Decrypt(mechanism, key, ciphertext);
}

bool OpensItsOwnPkcs1(Session& session, const BoundResident& key) {
  const auto algorithm = AsymmetricAlgorithmOf(key.record.type);
  const auto public_key = AsymmetricKey::FromPublicKey(*algorithm, key.record.public_key);
  const auto secret = TestSecret();
  if (!public_key.has_value() || !secret.has_value()) return false;
  Bytes ciphertext(key.modulus.size());
  const Status encrypted =
      RsaEncrypt(*public_key, RsaEncryptionPadding::kPkcs1v15, secret->View(), ciphertext);
  if (!encrypted.has_value()) return false;
  const auto opened = DecryptPkcs1(session, key.handle, ciphertext);
  return opened.has_value() && *opened == *secret;
}

Error NoSuchDecryption(std::string_view what) {
  return InvalidArgument("the HSM token does not open " + std::string(what) + " with this key");
}

Result<SecretBytes> DecryptByPkcs1(const ResidentUse& use, ByteView ciphertext) {
  auto opened = DecryptPkcs1(use.session, use.key.handle, ciphertext);
  if (opened.has_value()) return opened;
  const Error judged = JudgeFailure(
      use, opened.error(), [&](Session& session) { return OpensItsOwnPkcs1(session, use.key); });
  const bool refused = judged.code != ErrorCode::kDecryptionFailed &&
                       use.session.failure().has_value() &&
                       use.session.failure()->kind() == RvKind::kPolicy;
  return refused ? NoSuchDecryption("PKCS #1 v1.5") : judged;
}

ImportKeyObject AsImportKey(const BoundResident& key) {
  return {.handle = key.handle, .modulus = key.modulus, .public_key = key.record.public_key};
}

// By known answer, once a connection, key and hash function.
Result<OaepPlace> FindPlace(const ResidentUse& use, HashAlgorithm hash) {
  ResidentBindings& bindings = use.connection.residents();
  const auto known = bindings.PlaceOf(use.key.record.id, hash);
  if (known.has_value()) return *known;
  for (const OaepPlace place : {OaepPlace::kToken, OaepPlace::kWorker}) {
    std::optional<Session> session;
    const Rv opened = Session::OpenBeside(use.session, use.connection.facts().slot, session);
    if (!opened.ok()) return use.session.Fail(opened);
    const auto opens = OpensItsOwnImports(*session, AsImportKey(use.key), hash, place);
    if (opens.value_or(false)) {
      bindings.KeepPlace(use.key.record.id, hash, place);
      return place;
    }
    const std::optional<Rv>& failure = session->failure();
    if (failure.has_value() && !MayMeanTheCiphertext(*failure)) return use.session.Fail(*failure);
  }
  return OaepPlace::kNowhere;
}

Result<SecretBytes> DecryptByOaep(const ResidentUse& use, HashAlgorithm hash, ByteView ciphertext) {
  const bool known = std::ranges::find(kImportHashes, hash) != kImportHashes.end();
  const OaepPlace place = known ? KMS_TRY(FindPlace(use, hash)) : OaepPlace::kNowhere;
  if (place == OaepPlace::kNowhere) {
    return NoSuchDecryption("RSA-OAEP with " + std::string(TraitsOf(hash).name));
  }
  const ImportKeyObject key = AsImportKey(use.key);
  auto opened = OpenImport(use.session, key, {.hash = hash, .place = place, .bytes = ciphertext});
  if (opened.has_value()) {
    if (!opened->has_value()) return DoesNotOpen();
    return **std::move(opened);
  }
  return JudgeFailure(use, opened.error(), [&](Session& session) {
    return OpensItsOwnImports(session, key, hash, place).value_or(false);
  });
}

}  // namespace

Result<SecretBytes> DecryptRsaResident(const ResidentUse& use, std::optional<HashAlgorithm> hash,
                                       ByteView ciphertext) {
  if (use.key.modulus.empty()) return NoSuchDecryption("RSA ciphertexts");
  if (ciphertext.size() != use.key.modulus.size()) return DoesNotOpen();
  return hash.has_value() ? DecryptByOaep(use, *hash, ciphertext) : DecryptByPkcs1(use, ciphertext);
}

// ---- AES-GCM -----------------------------------------------------------------------------------

Result<ResidentCiphertext> EncryptGcm(Session& session, const BoundResident& key,
                                      ByteView plaintext, ByteView aad) {
  std::array<std::uint8_t, kMaxResidentNonceBytes> room{};  // some modules write a longer one
  const MutableByteView nonce = MutableByteView(room).first(kMinResidentNonceBytes);
  FillHedgedNonce(nonce, plaintext, aad);
  GcmMechanism mechanism(key.gcm_layout, nonce, aad);
  // Some modules take a null pointer for a mistake, however little it points to.
  constexpr std::uint8_t kNothing[] = {0};
  const ByteView input = plaintext.empty() ? ByteView(kNothing).first(0) : plaintext;
  Bytes out = KMS_TRY(session.Encrypt(mechanism.get(), key.handle, input));

  const std::size_t sealed = plaintext.size() + kTagBytes;
  const std::size_t extra = out.size() - std::min(out.size(), sealed);
  if (out.size() < sealed ||
      (extra != 0 && (extra < kMinResidentNonceBytes || extra > kMaxResidentNonceBytes))) {
    return session.Fail({CKR_DEVICE_ERROR, "C_Encrypt: impossible length"});
  }
  ResidentCiphertext ciphertext;
  // What stands there now: ours, or the one that the token wrote over it (AWS CloudHSM).
  ciphertext.nonce = CopyOf(nonce);
  if (extra != 0) {  // appended (Luna in FIPS mode)
    ciphertext.nonce = CopyOf(ByteView(out).subspan(sealed));
    out.resize(sealed);
  }
  ciphertext.ciphertext = std::move(out);
  return ciphertext;
}

Result<SecretBytes> DecryptGcm(Session& session, const BoundResident& key,
                               const ResidentCiphertext& ciphertext, ByteView aad) {
  Bytes nonce = ciphertext.nonce;
  GcmMechanism mechanism(key.gcm_layout, nonce, aad);
  SecretBytes plaintext =
      KMS_TRY(session.Decrypt(mechanism.get(), key.handle, ciphertext.ciphertext));
  if (plaintext.size() + kTagBytes != ciphertext.ciphertext.size()) {
    return session.Fail({CKR_DEVICE_ERROR, "C_Decrypt: impossible length"});
  }
  return plaintext;
}

Result<SecretBytes> DecryptResident(const ResidentUse& use, const ResidentCiphertext& ciphertext,
                                    ByteView aad) {
  // A zero-length nonce means a constant one to some modules.
  if (ciphertext.nonce.size() != use.key.record.nonce_bytes ||
      ciphertext.ciphertext.size() < kTagBytes) {
    return DoesNotOpen();
  }
  auto opened = DecryptGcm(use.session, use.key, ciphertext, aad);
  if (opened.has_value()) return opened;
  return JudgeFailure(use, opened.error(), [&](Session& session) {
    const auto secret = TestSecret();
    if (!secret.has_value()) return false;
    const auto own = EncryptGcm(session, use.key, secret->View(), aad);
    if (!own.has_value()) return false;
    const auto back = DecryptGcm(session, use.key, *own, aad);
    return back.has_value() && *back == *secret;
  });
}

}  // namespace kms::pkcs11
