// SPDX-License-Identifier: Apache-2.0
// FakeRsaDevice: a token in memory whose master keys are RSA keys. Anybody can wrap by the public
// key; what the token wrapped bears its signature, here a MAC by a secret of the token.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "kms/base/digest.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/rsa_encryption.h"
#include "tests/fakes/fake_master_key_device.h"

namespace kms::testing {

// Thread rule: any thread. Every master key is the same RSA key: making one takes long, and the
// signature is bound to the id.
class FakeRsaDevice final : public FakeMasterKeyDevice {
 public:
  using FakeMasterKeyDevice::FakeMasterKeyDevice;

  Result<MasterKeyRecord> GenerateMasterKey(const Uuid& id, std::uint32_t version,
                                            const std::string& label, Deadline deadline) override {
    MasterKeyRecord record =
        KMS_TRY(FakeMasterKeyDevice::GenerateMasterKey(id, version, label, deadline));
    record.mechanism = WrapMechanism::kOaepSha256;
    record.public_key = PublicKey();
    const Bytes value = SentinelValue(id);
    record.sentinel = KMS_TRY(WrapRsa(record, value, SentinelContext(id)));
    return record;
  }
  Result<WrappedKey> Wrap(const MasterKeyRecord& master, const SecretBytes& key, ByteView context,
                          Deadline deadline) override {
    KMS_TRY(FindMaster(master, deadline));
    if (key.empty() || key.size() > 64) return InvalidArgument("a key to wrap has 1 to 64 bytes");
    return WrapRsa(master, key.View(), context);
  }
  Result<SecretBytes> Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped,
                             ByteView context, Deadline deadline) override {
    KMS_TRY(FindMaster(master, deadline));
    return OpenRsa(master, wrapped, context);
  }
  Status CheckSentinel(const MasterKeyRecord& master, Deadline deadline) override {
    KMS_TRY(FindMaster(master, deadline));
    const SecretBytes opened =
        KMS_TRY(OpenRsa(master, master.sentinel, SentinelContext(master.id)));
    return EqualInConstantTime(opened.View(), SentinelValue(master.id))
               ? Ok()
               : Status(Corrupted("the master key is not the recorded one"));
  }

  // A wrap of 32 bytes of somebody's choice, made by the public key alone.
  static WrappedKey Forge(const MasterKeyRecord& master, ByteView key, ByteView context) {
    WrappedKey forged;
    forged.mechanism = master.mechanism;
    forged.master_key_id = master.id;
    forged.master_key_version = master.version;
    forged.key_bytes = static_cast<std::uint16_t>(key.size());
    Bytes bound = CopyOf(key);
    const Sha256Digest digest = Sha256(context);
    bound.insert(bound.end(), digest.begin(), digest.end());
    const AsymmetricKey to =
        AsymmetricKey::FromPublicKey(AsymmetricAlgorithm::kRsa4096, master.public_key).value();
    forged.blob = OaepEncrypt(to, HashAlgorithm::kSha2_256, bound).value();
    return forged;
  }

 private:
  static EVP_PKEY* Key() {
    static const FakeEvpPkey key = MakeFakeImportKey(1);
    return key.get();
  }
  static Bytes PublicKey() {
    Bytes encoded(static_cast<std::size_t>(i2d_PUBKEY(Key(), nullptr)));
    std::uint8_t* out = encoded.data();
    i2d_PUBKEY(Key(), &out);
    return encoded;
  }
  // The faults of the fake happen here.
  Status FindMaster(const MasterKeyRecord& master, Deadline deadline) {
    const SecretBytes any = KMS_TRY(SecretBytes::OfSize(1));
    KMS_TRY(FakeMasterKeyDevice::Wrap(master, any, {}, deadline));
    return Ok();
  }
  Bytes Signature(const WrappedKey& wrapped, ByteView context) const {
    const Sha256Digest mac = Sha256(
        {AsBytes("secret of " + token()->serial), ByteView(WrapStatement(wrapped, context))});
    return {mac.begin(), mac.end()};
  }
  Result<WrappedKey> WrapRsa(const MasterKeyRecord& master, ByteView key, ByteView context) const {
    WrappedKey wrapped = Forge(master, key, context);
    wrapped.token_label = token()->label;
    wrapped.token_serial = token()->serial;
    wrapped.signature = Signature(wrapped, context);
    return wrapped;
  }
  Result<SecretBytes> OpenRsa(const MasterKeyRecord& master, const WrappedKey& wrapped,
                              ByteView context) const {
    if (wrapped.signature.empty()) return Corrupted("the wrapped key bears no signature");
    const bool belongs =
        wrapped.mechanism == master.mechanism && wrapped.master_key_id == master.id;
    if (!belongs || wrapped.signature != Signature(wrapped, context)) {
      return Corrupted("wrapped key does not authenticate");
    }
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> decryption{
        EVP_PKEY_CTX_new(Key(), nullptr), &EVP_PKEY_CTX_free};
    SecretBytes opened = KMS_TRY(SecretBytes::OfSize(kImportCiphertextBytes));
    std::size_t size = opened.size();
    const bool good = EVP_PKEY_decrypt_init(decryption.get()) == 1 &&
                      EVP_PKEY_CTX_set_rsa_padding(decryption.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
                      EVP_PKEY_CTX_set_rsa_oaep_md(decryption.get(), EVP_sha256()) == 1 &&
                      EVP_PKEY_CTX_set_rsa_mgf1_md(decryption.get(), EVP_sha256()) == 1 &&
                      EVP_PKEY_decrypt(decryption.get(), opened.MutableView().data(), &size,
                                       wrapped.blob.data(), wrapped.blob.size()) == 1;
    if (!good || size != std::size_t{wrapped.key_bytes} + kSha256Bytes) {
      return Corrupted("wrapped key does not authenticate");
    }
    return SecretBytes::CopyOf(opened.View().first(wrapped.key_bytes));
  }
};

}  // namespace kms::testing
