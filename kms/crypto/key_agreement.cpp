// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/key_agreement.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <memory>
#include <string>

#include "kms/crypto/hkdf.h"
#include "kms/crypto/key_import.h"

namespace kms {

namespace {

struct ContextDeleter {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};

// Says of the peer's key what ImportPublicKey says of an imported one.
Error AboutThePeer(Error error) {
  constexpr std::string_view kImport = "error importing key: ";
  constexpr std::string_view kParsing = "error parsing public key: ";
  if (error.code != ErrorCode::kInvalidArgument) {
    return error;
  }
  std::string_view reason = error.public_message;
  for (const std::string_view prefix : {kImport, kParsing}) {
    reason.remove_prefix(reason.starts_with(prefix) ? prefix.size() : 0);
  }
  error.public_message = "error parsing peer public key: " + std::string(reason);
  return error;
}

}  // namespace

namespace internal {

Result<SecretBytes> EcdhSharedSecret(const AsymmetricKey& own, const AsymmetricKey& peer) {
  SecretBytes secret = KMS_TRY(SecretBytes::OfSize(EcdsaFieldBytes(own.algorithm())));
  const std::unique_ptr<EVP_PKEY_CTX, ContextDeleter> context(
      EVP_PKEY_CTX_new_from_pkey(nullptr, own.native(), nullptr));
  std::size_t size = secret.size();
  if (context == nullptr || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), peer.native()) != 1 ||
      EVP_PKEY_derive(context.get(), secret.MutableView().data(), &size) != 1 ||
      size != secret.size()) {
    ERR_clear_error();
    return Internal("key agreement failed");
  }
  return secret;
}

}  // namespace internal

Result<AsymmetricKey> ParsePeerKey(AsymmetricAlgorithm own, std::string_view peer_pem) {
  if (!IsEcdsa(own)) {
    return InvalidArgument("base key type " + std::string(KeyTypeName(own)) +
                           " does not support key agreement");
  }
  Result<AsymmetricKey> peer = ImportPublicKey(own, peer_pem);
  if (!peer.has_value()) {
    return AboutThePeer(std::move(peer).error());
  }
  return peer;
}

Result<SecretBytes> KeyFromSharedSecret(const SecretBytes& shared_secret, std::size_t out_bytes) {
  return HkdfSha256(shared_secret.View(), {}, {}, out_bytes);
}

Result<SecretBytes> AgreeEcdh(const AsymmetricKey& own, std::string_view peer_pem,
                              std::size_t out_bytes) {
  if (IsEcdsa(own.algorithm()) && !own.has_private()) {
    return InvalidArgument("base key version does not have a private counterpart");
  }
  const AsymmetricKey peer = KMS_TRY(ParsePeerKey(own.algorithm(), peer_pem));
  const SecretBytes shared_secret = KMS_TRY(internal::EcdhSharedSecret(own, peer));
  return KeyFromSharedSecret(shared_secret, out_bytes);
}

}  // namespace kms
