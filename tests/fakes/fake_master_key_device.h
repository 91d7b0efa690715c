// SPDX-License-Identifier: Apache-2.0
// FakeMasterKeyDevice: an HSM token in memory, with real cryptography and faults on demand.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "kms/base/clock.h"
#include "kms/base/random.h"
#include "kms/master/epoch_counter.h"
#include "kms/master/master_key_device.h"
#include "kms/master/resident_key_device.h"
#include "tests/fakes/fake_resident_keys.h"

namespace kms::testing {

struct FakeEvpPkeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FakeCipherContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
struct FakeDigestContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

using FakeEvpPkey = std::unique_ptr<EVP_PKEY, FakeEvpPkeyDeleter>;

// Making RSA keys takes seconds: the first two of every token are read from files.
inline FakeEvpPkey MakeFakeImportKey(std::size_t number) {
  const std::string path =
      KMS_SOURCE_DIR "/tests/vectors/fake_import_key_" + std::to_string(number) + ".pem";
  const std::unique_ptr<BIO, decltype(&BIO_free)> file{BIO_new_file(path.c_str(), "r"), &BIO_free};
  return FakeEvpPkey(file != nullptr
                         ? PEM_read_bio_PrivateKey(file.get(), nullptr, nullptr, nullptr)
                         : EVP_RSA_gen(kImportKeyBits));
}

// What stays when a process or a connection ends: share one between devices to play a restart.
struct FakeToken {
  std::string label = "fake";
  std::string serial = "0001";
  std::mutex mutex;
  std::map<Uuid, SecretBytes> master_keys;                    // guarded by mutex
  std::map<Uuid, std::string> labels;  // guarded by mutex; of master keys and import keys
  FakeEvpPkey signing_key;                                    // guarded by mutex
  std::map<Uuid, FakeEvpPkey> import_keys;                    // guarded by mutex
  FakeResidentKeys resident_keys;
  std::map<Uuid, std::uint64_t> epochs;                       // guarded by mutex
};

// Thread rule: any thread, the fault members too.
class FakeMasterKeyDevice : public MasterKeyDevice,
                            public EpochCounter,
                            public ResidentKeyDevice {
 public:
  // `clock` judges deadlines and must outlive the device; the system's without one.
  explicit FakeMasterKeyDevice(std::shared_ptr<FakeToken> token = std::make_shared<FakeToken>(),
                               const Clock* clock = nullptr)
      : token_(std::move(token)), clock_(clock == nullptr ? &system_clock_ : clock) {}

  // ---- faults ----------------------------------------------------------------------------------

  // The n-th call from now (1: the next) fails without acting.
  void FailCall(std::uint64_t n, Error error) {
    const std::lock_guard lock(mutex_);
    failures_before_.insert_or_assign(statistics_.calls + n, std::move(error));
  }
  // The n-th call from now acts, and then fails: its answer is lost.
  void FailCallAfterActing(std::uint64_t n, Error error) {
    const std::lock_guard lock(mutex_);
    failures_after_.insert_or_assign(statistics_.calls + n, std::move(error));
  }
  // Absent: every call fails with kUnavailable.
  void SetPresent(bool present) {
    SetState(present ? DeviceState::kReady : DeviceState::kDown,
             present ? "" : "the fake token is not present");
  }
  // Locked out or misconfigured: every call fails with kFailedPrecondition.
  void SetState(DeviceState state, std::string reason) {
    const std::lock_guard lock(mutex_);
    statistics_.state = state;
    statistics_.state_reason = std::move(reason);
  }
  // Replaces the generator behind Random, for example by a broken one.
  void SetGenerator(std::function<void(MutableByteView)> generator) {
    const std::lock_guard lock(mutex_);
    generator_ = std::move(generator);
  }
  // Stuck: calls do not return, whatever their deadline, until it is cleared.
  void SetStuck(bool stuck) {
    {
      const std::lock_guard lock(mutex_);
      stuck_ = stuck;
    }
    released_.notify_all();
  }
  // The next Wrap reports success with a blob that does not open (H20).
  void CorruptNextWrap() {
    const std::lock_guard lock(mutex_);
    corrupt_next_wrap_ = true;
  }
  // As a token that makes no RSA-4096 keys: GenerateImportKey finds that it cannot.
  void SetMakesImportKeys(bool makes) {
    const std::lock_guard lock(mutex_);
    makes_import_keys_ = makes;
  }
  // Puts another key under the same id (H13).
  void ReplaceMasterKey(const Uuid& id) {
    const std::lock_guard lock(token_->mutex);
    const auto found = token_->master_keys.find(id);
    if (found != token_->master_keys.end()) {
      FillRandom(found->second.MutableView());
    }
  }
  // Loses the key object (H11).
  void RemoveMasterKey(const Uuid& id) {
    const std::lock_guard lock(token_->mutex);
    token_->master_keys.erase(id);
    token_->labels.erase(id);
  }
  // Forgets the faults that have not happened yet.
  void ClearFaults() {
    SetPresent(true);
    SetStuck(false);
    const std::lock_guard lock(mutex_);
    failures_before_.clear();
    failures_after_.clear();
    corrupt_next_wrap_ = false;
    makes_import_keys_ = true;
  }

  // ---- what happened ---------------------------------------------------------------------------

  [[nodiscard]] std::uint64_t calls() const {
    const std::lock_guard lock(mutex_);
    return statistics_.calls;
  }
  [[nodiscard]] std::set<Uuid> master_key_ids() const {
    const std::lock_guard lock(token_->mutex);
    std::set<Uuid> ids;
    for (const auto& [id, key] : token_->master_keys) {
      ids.insert(id);
    }
    return ids;
  }
  [[nodiscard]] std::set<Uuid> import_key_ids() const {
    const std::lock_guard lock(token_->mutex);
    std::set<Uuid> ids;
    for (const auto& [id, key] : token_->import_keys) {
      ids.insert(id);
    }
    return ids;
  }
  [[nodiscard]] std::shared_ptr<FakeToken> token() const { return token_; }

  // ---- MasterKeyDevice -------------------------------------------------------------------------

  Result<DeviceDescription> Describe(Deadline deadline) override {
    return Run<DeviceDescription>(deadline, [&]() -> Result<DeviceDescription> {
      return DeviceDescription{.token_label = token_->label,
                               .token_serial = token_->serial,
                               .module_path = "fake",
                               .module_description = "token in memory",
                               .usable_mechanisms = {WrapMechanism::kGcmEncrypt}};
    });
  }

  Result<MasterKeyRecord> GenerateMasterKey(const Uuid& id, std::uint32_t version,
                                            const std::string& label, Deadline deadline) override {
    return Run<MasterKeyRecord>(deadline, [&]() -> Result<MasterKeyRecord> {
      KMS_TRY(MakeKeyUnlessPresent(id, label));
      MasterKeyRecord record;
      record.id = id;
      record.version = version;
      record.label = label;
      record.token_label = token_->label;
      record.token_serial = token_->serial;
      record.module_description = "token in memory";
      record.created_unix_seconds = ToUnixSeconds(clock_->Now());
      const Bytes value = SentinelValue(id);
      record.sentinel = KMS_TRY(Seal(record, value, SentinelContext(id)));
      return record;
    });
  }

  Result<WrappedKey> Wrap(const MasterKeyRecord& master, const SecretBytes& key, ByteView context,
                          Deadline deadline) override {
    return Run<WrappedKey>(deadline, [&]() -> Result<WrappedKey> {
      if (key.empty() || key.size() > 64) {
        return InvalidArgument("a key to wrap has 1 to 64 bytes");
      }
      WrappedKey wrapped = KMS_TRY(Seal(master, key.View(), context));
      if (TakeCorruption()) {
        wrapped.blob.front() ^= 1U;
      }
      return wrapped;
    });
  }

  Result<SecretBytes> Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped,
                             ByteView context, Deadline deadline) override {
    return Run<SecretBytes>(deadline, [&] { return Open(master, wrapped, context); });
  }

  Status CheckSentinel(const MasterKeyRecord& master, Deadline deadline) override {
    return Run<void>(deadline, [&]() -> Status {
      const SecretBytes opened = KMS_TRY(Open(master, master.sentinel, SentinelContext(master.id)));
      if (!EqualInConstantTime(opened.View(), SentinelValue(master.id))) {
        return Corrupted("the master key is not the recorded one");
      }
      return Ok();
    });
  }

  Status DestroyMasterKey(const MasterKeyRecord& master, Deadline deadline) override {
    return Run<void>(deadline, [&]() -> Status {
      const std::lock_guard lock(token_->mutex);
      if (token_->import_keys.contains(master.id)) {
        return FailedPrecondition("the object with the master key's id is no master key");
      }
      KMS_TRY(CheckLabel(master.id, master.label));
      token_->master_keys.erase(master.id);
      token_->labels.erase(master.id);
      return Ok();
    });
  }

  Result<Bytes> Sign(ByteView message, Deadline deadline) override {
    return Run<Bytes>(deadline, [&]() -> Result<Bytes> {
      const std::lock_guard lock(token_->mutex);
      const std::unique_ptr<EVP_MD_CTX, FakeDigestContextDeleter> context{EVP_MD_CTX_new()};
      Bytes signature(128);
      std::size_t size = signature.size();
      if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, SigningKey()) != 1 ||
          EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) !=
              1) {
        return Internal("the fake cannot sign");
      }
      signature.resize(size);
      return signature;
    });
  }

  Result<Bytes> SigningPublicKey(Deadline deadline) override {
    return Run<Bytes>(deadline, [&]() -> Result<Bytes> {
      const std::lock_guard lock(token_->mutex);
      return EncodePublicKey(SigningKey());
    });
  }

  Result<std::optional<ImportKeyRecord>> GenerateImportKey(const Uuid& id, const std::string& label,
                                                           Deadline deadline) override {
    using Made = std::optional<ImportKeyRecord>;
    return Run<Made>(deadline, [&]() -> Result<Made> {
      if (!MakesImportKeys()) {
        return Made();
      }
      const std::lock_guard lock(token_->mutex);
      if (token_->master_keys.contains(id)) {
        return FailedPrecondition("the object with the import key's id is no import key");
      }
      FakeEvpPkey& key = token_->import_keys[id];
      if (key == nullptr) {
        key = MakeFakeImportKey(token_->import_keys.size());
        token_->labels[id] = label;
      }
      ImportKeyRecord record;
      record.id = id;
      record.label = label;
      record.token_label = token_->label;
      record.token_serial = token_->serial;
      record.module_description = "token in memory";
      record.public_key = KMS_TRY(EncodePublicKey(key.get()));
      record.places.fill(OaepPlace::kToken);
      record.created_unix_seconds = ToUnixSeconds(clock_->Now());
      return Made(std::move(record));
    });
  }

  Result<SecretBytes> DecryptImport(const ImportKeyRecord& key, HashAlgorithm hash,
                                    ByteView ciphertext, Deadline deadline) override {
    return Run<SecretBytes>(deadline, [&]() -> Result<SecretBytes> {
      if (key.PlaceOf(hash) == OaepPlace::kNowhere) {
        return InvalidArgument("the HSM does not open imports of this hash function");
      }
      const std::lock_guard lock(token_->mutex);
      const auto found = token_->import_keys.find(key.id);
      if (found == token_->import_keys.end()) {
        return FailedPrecondition("import key " + key.id.ToString() + " is not in the token");
      }
      return OpenOaep(found->second.get(), hash, ciphertext);
    });
  }

  Status DestroyImportKey(const Uuid& id, const std::string& label, Deadline deadline) override {
    return Run<void>(deadline, [&]() -> Status {
      const std::lock_guard lock(token_->mutex);
      if (token_->master_keys.contains(id)) {
        return FailedPrecondition("the object with the import key's id is no import key");
      }
      KMS_TRY(CheckLabel(id, label));
      token_->import_keys.erase(id);
      token_->labels.erase(id);
      return Ok();
    });
  }

  Result<SecretBytes> Random(std::size_t size, Deadline deadline) override {
    return Run<SecretBytes>(deadline, [&]() -> Result<SecretBytes> {
      if (size == 0 || size > 4096) {
        return InvalidArgument("1 to 4096 random bytes at a time");
      }
      SecretBytes bytes = KMS_TRY(SecretBytes::OfSize(size));
      Generate(bytes.MutableView());
      return bytes;
    });
  }

  // ---- ResidentKeyDevice -----------------------------------------------------------------------

  Result<ResidentKeyRecord> GenerateResidentKey(const Uuid& id, ResidentKeyType type,
                                                const std::string& label,
                                                Deadline deadline) override {
    return Run<ResidentKeyRecord>(deadline, [&] {
      return token_->resident_keys.Generate(CopyOf(id.View()), type, label);
    });
  }
  Result<ResidentKeyRecord> FindResidentKey(const std::string& reference,
                                            Deadline deadline) override {
    return Run<ResidentKeyRecord>(deadline,
                                  [&] { return token_->resident_keys.Find(reference); });
  }
  Status DestroyResidentKey(const ResidentKeyRecord& key, Deadline deadline) override {
    return Run<void>(deadline, [&] { return token_->resident_keys.Destroy(key.id, key.label); });
  }
  Result<Bytes> ResidentSign(const ResidentKeyRecord& key, const ResidentSignRequest& request,
                             Deadline deadline) override {
    return Run<Bytes>(deadline, [&] { return token_->resident_keys.Sign(key, request); });
  }
  Result<SecretBytes> ResidentRsaDecrypt(const ResidentKeyRecord& key,
                                         std::optional<HashAlgorithm> hash, ByteView ciphertext,
                                         Deadline deadline) override {
    return Run<SecretBytes>(
        deadline, [&] { return token_->resident_keys.RsaDecrypt(key, hash, ciphertext); });
  }
  Result<ResidentCiphertext> ResidentEncrypt(const ResidentKeyRecord& key,
                                             const SecretBytes& plaintext, ByteView aad,
                                             Deadline deadline) override {
    return Run<ResidentCiphertext>(
        deadline, [&] { return token_->resident_keys.Encrypt(key, plaintext.View(), aad); });
  }
  Result<SecretBytes> ResidentDecrypt(const ResidentKeyRecord& key,
                                      const ResidentCiphertext& ciphertext, ByteView aad,
                                      Deadline deadline) override {
    return Run<SecretBytes>(
        deadline, [&] { return token_->resident_keys.Decrypt(key, ciphertext, aad); });
  }
  Result<SecretBytes> ResidentAgree(const ResidentKeyRecord& key, ByteView peer_public_key,
                                    Deadline deadline) override {
    return Run<SecretBytes>(deadline,
                            [&] { return token_->resident_keys.Agree(key, peer_public_key); });
  }

  // ---- EpochCounter ----------------------------------------------------------------------------

  Result<std::optional<std::uint64_t>> ReadEpoch(const Uuid& id, Deadline deadline) override {
    using Epoch = std::optional<std::uint64_t>;
    return Run<Epoch>(deadline, [&]() -> Result<Epoch> {
      const std::lock_guard lock(token_->mutex);
      const auto found = token_->epochs.find(id);
      return found == token_->epochs.end() ? Epoch() : Epoch(found->second);
    });
  }

  Result<std::uint64_t> RaiseEpoch(const Uuid& id, std::uint64_t value,
                                   Deadline deadline) override {
    return Run<std::uint64_t>(deadline, [&]() -> Result<std::uint64_t> {
      const std::lock_guard lock(token_->mutex);
      std::uint64_t& epoch = token_->epochs[id];
      epoch = std::max(epoch, value);
      return epoch;
    });
  }

  Status DestroyEpoch(const Uuid& id, Deadline deadline) override {
    return Run<void>(deadline, [&]() -> Status {
      const std::lock_guard lock(token_->mutex);
      token_->epochs.erase(id);
      return Ok();
    });
  }

  DeviceStatistics Statistics() const override {
    const std::lock_guard lock(mutex_);
    DeviceStatistics statistics = statistics_;
    statistics.sessions_open = statistics.state == DeviceState::kReady ? 1 : 0;
    return statistics;
  }

 private:
  static constexpr std::size_t kNonceBytes = 12;
  static constexpr std::size_t kTagBytes = 16;

  template <typename T, typename Action>
  Result<T> Run(Deadline deadline, Action action) {
    const std::uint64_t call = CountCall();
    Status entered = Enter(call, deadline);
    Result<T> result = entered.has_value() ? Result<T>(action()) : Result<T>(entered.error());
    const std::lock_guard lock(mutex_);
    if (const auto lost = failures_after_.extract(call); lost && result.has_value()) {
      result = Result<T>(lost.mapped());
    }
    --statistics_.sessions_in_use;
    statistics_.failed_calls += result.has_value() ? 0U : 1U;
    return result;
  }

  std::uint64_t CountCall() {
    const std::lock_guard lock(mutex_);
    ++statistics_.sessions_in_use;
    return ++statistics_.calls;
  }

  Status Enter(std::uint64_t call, Deadline deadline) {
    std::unique_lock lock(mutex_);
    released_.wait(lock, [this] { return !stuck_; });
    if (const auto failure = failures_before_.extract(call)) {
      return failure.mapped();
    }
    if (clock_->SteadyNow() >= deadline) {
      ++statistics_.abandoned_calls;
      return Unavailable("HSM did not answer in time");
    }
    if (statistics_.state == DeviceState::kDown) {
      return Unavailable("HSM is unavailable", statistics_.state_reason);
    }
    if (statistics_.state != DeviceState::kReady) {
      return FailedPrecondition("HSM needs an operator", statistics_.state_reason);
    }
    return Ok();
  }

  bool MakesImportKeys() {
    const std::lock_guard lock(mutex_);
    return makes_import_keys_;
  }

  static Result<Bytes> EncodePublicKey(EVP_PKEY* key) {
    const int size = i2d_PUBKEY(key, nullptr);
    if (size <= 0) {
      return Internal("the fake cannot encode its public key");
    }
    Bytes encoded(static_cast<std::size_t>(size));
    std::uint8_t* out = encoded.data();
    i2d_PUBKEY(key, &out);
    return encoded;
  }

  static Result<SecretBytes> OpenOaep(EVP_PKEY* key, HashAlgorithm hash, ByteView ciphertext) {
    const EVP_MD* const digest = EVP_get_digestbyname(TraitsOf(hash).provider_name);
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context{
        EVP_PKEY_CTX_new(key, nullptr), &EVP_PKEY_CTX_free};
    SecretBytes opened = KMS_TRY(SecretBytes::OfSize(kImportCiphertextBytes));
    std::size_t size = opened.size();
    const bool good =
        EVP_PKEY_decrypt_init(context.get()) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), digest) == 1 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), digest) == 1 &&
        EVP_PKEY_decrypt(context.get(), opened.MutableView().data(), &size, ciphertext.data(),
                         ciphertext.size()) == 1;
    return good ? SecretBytes::CopyOf(opened.View().first(size))
                : InvalidArgument("crypto/rsa: decryption error");
  }

  bool TakeCorruption() {
    const std::lock_guard lock(mutex_);
    return std::exchange(corrupt_next_wrap_, false);
  }

  // The token's mutex is held.
  Status CheckLabel(const Uuid& id, const std::string& label) const {
    const auto found = token_->labels.find(id);
    if (found == token_->labels.end() || found->second == label) {
      return Ok();
    }
    return FailedPrecondition("the key in the HSM is \"" + found->second + "\", and \"" + label +
                              "\" was to be destroyed");
  }

  Status MakeKeyUnlessPresent(const Uuid& id, const std::string& label) {
    const std::lock_guard lock(token_->mutex);
    if (token_->master_keys.contains(id)) {
      return Ok();
    }
    if (token_->import_keys.contains(id)) {
      return FailedPrecondition("the object with the master key's id is no master key");
    }
    SecretBytes key = KMS_TRY(SecretBytes::OfSize(32));
    FillRandom(key.MutableView());
    token_->master_keys.emplace(id, std::move(key));
    token_->labels[id] = label;
    return Ok();
  }

  Result<SecretBytes> FindKey(const Uuid& id) {
    const std::lock_guard lock(token_->mutex);
    const auto found = token_->master_keys.find(id);
    if (found == token_->master_keys.end()) {
      return FailedPrecondition("master key " + id.ToString() + " is not in the token");
    }
    return found->second.Clone();
  }

  Result<WrappedKey> Seal(const MasterKeyRecord& master, ByteView key, ByteView context) {
    const SecretBytes master_key = KMS_TRY(FindKey(master.id));
    WrappedKey wrapped;
    wrapped.master_key_id = master.id;
    wrapped.master_key_version = master.version;
    wrapped.token_label = token_->label;
    wrapped.token_serial = token_->serial;
    wrapped.nonce_origin = NonceOrigin::kCaller;
    wrapped.nonce.resize(kNonceBytes);
    FillRandom(wrapped.nonce);
    wrapped.tag_bytes = kTagBytes;
    wrapped.key_bytes = static_cast<std::uint16_t>(key.size());
    wrapped.blob.resize(key.size() + kTagBytes);
    wrapped.created_unix_seconds = ToUnixSeconds(clock_->Now());
    const std::unique_ptr<EVP_CIPHER_CTX, FakeCipherContextDeleter> cipher{EVP_CIPHER_CTX_new()};
    int size = 0;
    const bool good =
        EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, master_key.View().data(),
                           wrapped.nonce.data()) == 1 &&
        EVP_EncryptUpdate(cipher.get(), nullptr, &size, context.data(),
                          static_cast<int>(context.size())) == 1 &&
        EVP_EncryptUpdate(cipher.get(), wrapped.blob.data(), &size, key.data(),
                          static_cast<int>(key.size())) == 1 &&
        EVP_EncryptFinal_ex(cipher.get(), wrapped.blob.data() + key.size(), &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes,
                            wrapped.blob.data() + key.size()) == 1;
    return good ? Result<WrappedKey>(std::move(wrapped)) : Internal("the fake cannot wrap");
  }

  Result<SecretBytes> Open(const MasterKeyRecord& master, const WrappedKey& wrapped,
                           ByteView context) {
    const SecretBytes master_key = KMS_TRY(FindKey(master.id));
    if (wrapped.mechanism != master.mechanism || wrapped.master_key_id != master.id ||
        wrapped.nonce.size() != kNonceBytes || wrapped.blob.size() <= kTagBytes) {
      return Corrupted("wrapped key does not authenticate");
    }
    SecretBytes key = KMS_TRY(SecretBytes::OfSize(wrapped.blob.size() - kTagBytes));
    Bytes tag(wrapped.blob.end() - kTagBytes, wrapped.blob.end());
    const std::unique_ptr<EVP_CIPHER_CTX, FakeCipherContextDeleter> cipher{EVP_CIPHER_CTX_new()};
    int size = 0;
    const bool good =
        EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, master_key.View().data(),
                           wrapped.nonce.data()) == 1 &&
        EVP_DecryptUpdate(cipher.get(), nullptr, &size, context.data(),
                          static_cast<int>(context.size())) == 1 &&
        EVP_DecryptUpdate(cipher.get(), key.MutableView().data(), &size, wrapped.blob.data(),
                          static_cast<int>(key.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1 &&
        EVP_DecryptFinal_ex(cipher.get(), key.MutableView().data() + key.size(), &size) == 1;
    return good ? Result<SecretBytes>(std::move(key))
                : Corrupted("wrapped key does not authenticate");
  }

  void Generate(MutableByteView out) {
    const std::lock_guard lock(mutex_);
    if (generator_) {
      generator_(out);
    } else {
      FillRandom(out);
    }
  }

  // The token's mutex is held.
  EVP_PKEY* SigningKey() {
    if (token_->signing_key == nullptr) {
      token_->signing_key.reset(EVP_EC_gen("P-256"));
    }
    return token_->signing_key.get();
  }

  const SystemClock system_clock_;
  const std::shared_ptr<FakeToken> token_;
  const Clock* const clock_;

  mutable std::mutex mutex_;
  std::condition_variable released_;
  // Guarded by mutex_.
  DeviceStatistics statistics_{.state = DeviceState::kReady, .state_reason = {}};
  std::map<std::uint64_t, Error> failures_before_;
  std::map<std::uint64_t, Error> failures_after_;
  bool stuck_ = false;
  bool corrupt_next_wrap_ = false;
  bool makes_import_keys_ = true;
  std::function<void(MutableByteView)> generator_;
};

}  // namespace kms::testing
