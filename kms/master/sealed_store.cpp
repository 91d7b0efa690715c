// SPDX-License-Identifier: Apache-2.0
// One sealed entry, format 1 (numbers big-endian):
//
//   format(1) | environment key version(4) | salt(32) | nonce(12) | ciphertext | tag(16)
//   `-------------------- head -------------------'
//
//   subkey = HKDF-SHA-256(environment key, salt, "kms sealed entry v1"), 32 bytes
//   AAD    = head | environment id(16) | path within the environment
#include "kms/master/sealed_store.h"

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <set>
#include <utility>

#include "kms/base/mutex.h"
#include "kms/base/random.h"
#include "kms/crypto/aead.h"
#include "kms/crypto/hkdf.h"
#include "kms/crypto/nonce.h"

namespace kms {

namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kVersionBytes = 4;
constexpr std::size_t kSaltBytes = 32;
constexpr std::size_t kHeadBytes = 1 + kVersionBytes + kSaltBytes;
constexpr std::size_t kOverheadBytes = kHeadBytes + kAeadNonceBytes + kAeadTagBytes;
constexpr AeadAlgorithm kAlgorithm = AeadAlgorithm::kAes256Gcm;

// One commit of re-sealed entries holds up other writers only as long as this takes.
constexpr std::size_t kResealedBytesPerCommit = 256 * 1024;

Error Damaged(std::string detail) { return Corrupted("damaged entry", std::move(detail)); }

void PutVersion(EnvironmentKeyVersion version, MutableByteView out) {
  for (std::size_t index = 0; index < kVersionBytes; ++index) {
    out[index] = static_cast<std::uint8_t>(version >> (24 - 8 * index));
  }
}

EnvironmentKeyVersion GetVersion(ByteView in) {
  EnvironmentKeyVersion version = 0;
  for (const std::uint8_t byte : in.first(kVersionBytes)) {
    version = version << 8U | byte;
  }
  return version;
}

Result<Aead> EntryCipher(const SecretBytes& environment_key, ByteView salt) {
  const SecretBytes subkey = KMS_TRY(HkdfSha256(environment_key.View(), salt,
                                                AsBytes("kms sealed entry v1"),
                                                AeadKeyBytes(kAlgorithm)));
  return Aead::Create(kAlgorithm, subkey.View());
}

// The version that an entry names; 0 for what is no entry of ours.
EnvironmentKeyVersion NamedVersion(ByteView sealed) {
  return sealed.size() < kOverheadBytes || sealed[0] != kFormat ? 0 : GetVersion(sealed.subspan(1));
}

}  // namespace

// The commits under way, numbered in the order they began.
class SealedStore::Ledger {
 public:
  std::uint64_t Begin() {
    const ScopedLock lock(mutex_);
    under_way_.insert(next_);
    return next_++;
  }
  void End(std::uint64_t number) {
    {
      const ScopedLock lock(mutex_);
      under_way_.erase(number);
    }
    ended_.notify_all();
  }
  // False when some of those that have begun are still under way after `timeout`.
  bool AwaitOlder(std::chrono::milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    const ScopedLock lock(mutex_);
    const std::uint64_t newest = next_;
    while (!under_way_.empty() && *under_way_.begin() < newest) {
      if (ended_.wait_until(mutex_, deadline) == std::cv_status::timeout &&
          std::chrono::steady_clock::now() >= deadline) {
        return under_way_.empty() || *under_way_.begin() >= newest;
      }
    }
    return true;
  }

 private:
  Mutex mutex_;
  std::condition_variable_any ended_;
  std::set<std::uint64_t> under_way_ KMS_GUARDED_BY(mutex_);
  std::uint64_t next_ KMS_GUARDED_BY(mutex_) = 0;
};

SealedStore::Sealing::~Sealing() { ledger_->End(number_); }

SealedStore::SealedStore(Store& store, const EnvironmentKeyring& keys, const Uuid& environment_id)
    : store_(store),
      keys_(keys),
      environment_id_(environment_id),
      prefix_("e/" + environment_id.ToString() + "/"),
      ledger_(std::make_shared<Ledger>()) {}

Result<std::optional<OpenedEntry>> SealedStore::Get(std::string_view path) {
  const std::string stored_path = prefix_ + std::string(path);
  std::optional<StoredValue> stored = KMS_TRY(store_.Get(stored_path));
  if (!stored) {
    // A sealed environment says so even of what does not exist.
    KMS_TRY(keys_.Latest());
    return std::optional<OpenedEntry>{};
  }
  Result<SecretBytes> value = OpenEntry(path, stored->value);
  if (!value.has_value() && value.error().code == ErrorCode::kCorrupted) {
    // It may have been sealed again, and its key forgotten, since it was read.
    std::optional<StoredValue> now = KMS_TRY(store_.Get(stored_path));
    if (now && now->value == stored->value) {
      return std::move(value).error();
    }
    if (!now) {
      return std::optional<OpenedEntry>{};
    }
    stored = std::move(now);
    value = OpenEntry(path, stored->value);
  }
  return std::optional<OpenedEntry>{
      {.value = KMS_TRY(std::move(value)), .revision = stored->revision}};
}

Result<std::vector<ListedEntry>> SealedStore::List(std::string_view prefix, std::string_view after,
                                                   std::size_t limit) {
  KMS_TRY(keys_.Latest());
  const std::string stored_after = after.empty() ? std::string{} : prefix_ + std::string(after);
  std::vector<ListedEntry> entries =
      KMS_TRY(store_.List(prefix_ + std::string(prefix), stored_after, limit));
  for (ListedEntry& entry : entries) {
    entry.path.erase(0, prefix_.size());
  }
  return entries;
}

Result<Revision> SealedStore::Commit(std::vector<SealedMutation> mutations) {
  return Commit(mutations, {});
}

Result<Revision> SealedStore::Commit(const std::vector<SealedMutation>& mutations,
                                     std::vector<Mutation> more) {
  const Sealing sealing = BeginSealing();
  std::vector<Mutation> sealed = KMS_TRY(Seal(mutations));
  std::ranges::move(more, std::back_inserter(sealed));
  return store_.Commit(sealed);
}

SealedStore::Sealing SealedStore::BeginSealing() const { return {ledger_, ledger_->Begin()}; }

Status SealedStore::AwaitCommits(std::chrono::milliseconds timeout) const {
  if (!ledger_->AwaitOlder(timeout)) {
    return Unavailable("writes of the environment are still under way; retry later");
  }
  return Ok();
}

Result<std::uint64_t> SealedStore::Reseal(const std::vector<std::string>& paths) {
  const Sealing sealing = BeginSealing();
  std::uint64_t resealed = 0;
  std::vector<Mutation> mutations;
  std::size_t bytes = 0;
  const auto commit = [&]() -> Status {
    Result<Revision> committed = store_.Commit(mutations);
    if (committed.has_value()) {
      resealed += mutations.size();
    } else if (committed.error().code != ErrorCode::kConflict) {
      return std::move(committed).error();
    } else if (mutations.size() > 1) {
      // One of them was changed meanwhile: the others go one by one.
      for (const Mutation& mutation : mutations) {
        const Result<Revision> alone = store_.Commit({mutation});
        if (!alone.has_value() && alone.error().code != ErrorCode::kConflict) {
          return alone.error();
        }
        resealed += alone.has_value() ? 1U : 0U;
      }
    }
    mutations.clear();
    bytes = 0;
    return Ok();
  };
  for (const std::string& path : paths) {
    std::optional<Mutation> mutation = KMS_TRY(ResealOne(path));
    if (!mutation) {
      continue;
    }
    bytes += mutation->value->size();
    mutations.push_back(*std::move(mutation));
    if (bytes >= kResealedBytesPerCommit) {
      KMS_TRY(commit());
    }
  }
  if (!mutations.empty()) {
    KMS_TRY(commit());
  }
  return resealed;
}

Result<std::optional<Mutation>> SealedStore::ResealOne(const std::string& path) {
  const std::optional<StoredValue> stored = KMS_TRY(store_.Get(prefix_ + path));
  const EnvironmentKeyVersion latest = KMS_TRY(keys_.Latest());
  const EnvironmentKeyVersion version = stored ? NamedVersion(stored->value) : 0;
  if (version == 0 || version >= latest) {
    return std::optional<Mutation>{};
  }
  const Result<SecretBytes> value = OpenEntry(path, stored->value);
  if (!value.has_value()) {
    return value.error().code == ErrorCode::kCorrupted ? Result<std::optional<Mutation>>{std::nullopt}
                                                       : value.error();
  }
  return std::optional<Mutation>{{.path = prefix_ + path,
                                  .value = KMS_TRY(SealEntry(path, *value)),
                                  .expected_revision = stored->revision,
                                  .keeps_revision = true}};
}

Result<std::optional<EnvironmentKeyVersion>> SealedStore::KeyVersionOf(std::string_view path) {
  const std::optional<StoredValue> stored = KMS_TRY(store_.Get(prefix_ + std::string(path)));
  if (!stored) {
    return std::optional<EnvironmentKeyVersion>{};
  }
  return std::optional<EnvironmentKeyVersion>{NamedVersion(stored->value)};
}

Result<std::vector<Mutation>> SealedStore::Seal(
    const std::vector<SealedMutation>& mutations) const {
  KMS_TRY(keys_.Latest());
  std::vector<Mutation> sealed;
  sealed.reserve(mutations.size());
  for (const SealedMutation& mutation : mutations) {
    Mutation stored{.path = prefix_ + mutation.path,
                    .value = std::nullopt,
                    .expected_revision = mutation.expected_revision};
    if (mutation.value) {
      stored.value = KMS_TRY(SealEntry(mutation.path, *mutation.value));
    }
    sealed.push_back(std::move(stored));
  }
  return sealed;
}

Result<Bytes> SealedStore::SealEntry(std::string_view path, const SecretBytes& value) const {
  const EnvironmentKeyVersion version = KMS_TRY(keys_.Latest());
  const SecretBytes environment_key = KMS_TRY(keys_.Find(version));
  Bytes sealed(kOverheadBytes + value.size());
  const MutableByteView all{sealed};
  const MutableByteView head = all.first(kHeadBytes);
  const MutableByteView nonce = all.subspan(kHeadBytes, kAeadNonceBytes);
  head[0] = kFormat;
  PutVersion(version, head.subspan(1));
  FillRandom(head.last(kSaltBytes));
  const Bytes associated_data = AssociatedData(head, path);
  FillHedgedNonce(nonce, value.View(), associated_data);
  const Aead cipher = KMS_TRY(EntryCipher(environment_key, head.last(kSaltBytes)));
  KMS_TRY(cipher.Seal(nonce, associated_data, value.View(),
                      all.subspan(kHeadBytes + kAeadNonceBytes)));
  return sealed;
}

Result<SecretBytes> SealedStore::OpenEntry(std::string_view path, ByteView sealed) const {
  KMS_TRY(keys_.Latest());
  if (sealed.size() < kOverheadBytes) {
    return Damaged("shorter than an empty entry");
  }
  if (sealed[0] != kFormat) {
    return Corrupted("damaged entry: format " + std::to_string(sealed[0]) +
                     " is unknown, this release reads format " + std::to_string(kFormat));
  }
  const ByteView head = sealed.first(kHeadBytes);
  const SecretBytes environment_key = KMS_TRY(keys_.Find(GetVersion(head.subspan(1))));
  const Aead cipher = KMS_TRY(EntryCipher(environment_key, head.last(kSaltBytes)));
  SecretBytes value = KMS_TRY(SecretBytes::OfSize(sealed.size() - kOverheadBytes));
  const Status opened = cipher.Open(sealed.subspan(kHeadBytes, kAeadNonceBytes),
                                    AssociatedData(head, path),
                                    sealed.subspan(kHeadBytes + kAeadNonceBytes),
                                    value.MutableView());
  if (!opened.has_value()) {
    return opened.error().code == ErrorCode::kDecryptionFailed
               ? Damaged("does not authenticate: " + prefix_ + std::string(path))
               : opened.error();
  }
  return value;
}

Bytes SealedStore::AssociatedData(ByteView head, std::string_view path) const {
  Bytes data;
  data.reserve(head.size() + Uuid::kBytes + path.size());
  for (const ByteView part : {head, environment_id_.View(), AsBytes(path)}) {
    data.insert(data.end(), part.begin(), part.end());
  }
  return data;
}

}  // namespace kms
