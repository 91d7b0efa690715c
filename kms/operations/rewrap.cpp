// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/rewrap.h"

#include "kms/base/secret_bytes.h"
#include "kms/operations/decrypt.h"
#include "kms/operations/encrypt.h"

namespace kms {

namespace {

// A larger buffer is freed instead of kept for the thread's next rewrap.
constexpr std::size_t kMaxKeptBytes = std::size_t{1} << 20U;

// The thread's plaintext buffer for one rewrap: empty before and after.
class BorrowedPlaintext {
 public:
  BorrowedPlaintext() = default;
  BorrowedPlaintext(const BorrowedPlaintext&) = delete;
  BorrowedPlaintext& operator=(const BorrowedPlaintext&) = delete;
  ~BorrowedPlaintext() {
    if (buffer_.size() > kMaxKeptBytes) {
      const PlaintextBuffer freed = std::move(buffer_);
    }
    buffer_.Wipe();
  }

  PlaintextBuffer& operator*() { return buffer_; }

 private:
  static PlaintextBuffer& OfThisThread() {
    thread_local PlaintextBuffer buffer;
    return buffer;
  }

  PlaintextBuffer& buffer_ = OfThisThread();
};

}  // namespace

Result<KeyVersionNumber> Rewrap(const Key& key, const RewrapInput& input, std::string& ciphertext) {
  BorrowedPlaintext plaintext;
  const DecryptInput source{.ciphertext = input.ciphertext,
                            .associated_data = input.associated_data,
                            .context = input.context};
  KMS_TRY(Decrypt(key, source, *plaintext));
  const EncryptInput target{.plaintext = (*plaintext).View(),
                            .associated_data = input.associated_data,
                            .key_version = input.key_version,
                            .context = input.context};
  return Encrypt(key, target, ciphertext);
}

}  // namespace kms
