// SPDX-License-Identifier: Apache-2.0
// Argon2id through libargon2, which wipes its memory and does not copy the password.
#include "kms/auth/password_hash.h"

#include <argon2.h>

#include <array>
#include <optional>
#include <utility>

#include "kms/base/base64.h"
#include "kms/base/bytes.h"
#include "kms/base/random.h"

namespace kms {
namespace {

constexpr std::uint32_t kLanes = 1;  // so the library starts no threads of its own
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashBytes = 32;

Error OutOfTurns() {
  return MakeError(ErrorCode::kResourceExhausted, "too many logins at the same time");
}

Error Failed(int code) {
  const char* text = argon2_error_message(code);
  if (code == ARGON2_MEMORY_ALLOCATION_ERROR) {
    return Unavailable("no memory to check the password", text);
  }
  return Internal(std::string("argon2: ") + text);
}

std::string Unpadded(ByteView bytes) {
  std::string text = Base64Encode(bytes);
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

// The encoding of a random salt and a random value. Whoever finds a password for it has found a
// preimage.
std::string HashOfNobody(const PasswordHashCost& cost) {
  std::array<std::uint8_t, kSaltBytes> salt{};
  std::array<std::uint8_t, kHashBytes> hash{};
  FillRandom(salt);
  FillRandom(hash);
  return "$argon2id$v=19$m=" + std::to_string(cost.memory_kib) +
         ",t=" + std::to_string(cost.passes) + ",p=" + std::to_string(kLanes) + "$" +
         Unpadded(salt) + "$" + Unpadded(hash);
}

}  // namespace

// The right to run one hashing; given back when it goes.
class PasswordHasher::Turn {
 public:
  static std::optional<Turn> Take(PasswordHasher& hasher) {
    const ScopedLock lock(hasher.mutex_);
    if (hasher.running_ >= hasher.limits_.max_running) {
      if (hasher.waiting_ >= hasher.limits_.max_waiting) {
        return std::nullopt;
      }
      ++hasher.waiting_;
      while (hasher.running_ >= hasher.limits_.max_running) {
        hasher.turn_ended_.wait(hasher.mutex_);
      }
      --hasher.waiting_;
    }
    ++hasher.running_;
    ++hasher.hashings_;
    return Turn(&hasher);
  }
  Turn(Turn&& other) noexcept : hasher_(std::exchange(other.hasher_, nullptr)) {}
  Turn& operator=(Turn&&) = delete;
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (hasher_ == nullptr) {
      return;
    }
    const ScopedLock lock(hasher_->mutex_);
    --hasher_->running_;
    hasher_->turn_ended_.notify_one();
  }

 private:
  explicit Turn(PasswordHasher* hasher) : hasher_(hasher) {}
  PasswordHasher* hasher_;
};

PasswordHasher::PasswordHasher(PasswordHashCost cost, Limits limits)
    : cost_(cost), limits_(limits), nobody_(HashOfNobody(cost)) {}

std::size_t PasswordHasher::running() const {
  const ScopedLock lock(mutex_);
  return running_;
}

Result<std::string> PasswordHasher::Hash(std::string_view password) {
  if (password.size() < kMinPasswordBytes || password.size() > kMaxPasswordBytes) {
    return InvalidArgument("a password must have " + std::to_string(kMinPasswordBytes) + " to " +
                           std::to_string(kMaxPasswordBytes) + " bytes");
  }
  const std::optional<Turn> turn = Turn::Take(*this);
  if (!turn) {
    return OutOfTurns();
  }
  std::array<std::uint8_t, kSaltBytes> salt{};
  FillRandom(salt);
  std::string encoded(
      argon2_encodedlen(cost_.passes, cost_.memory_kib, kLanes, kSaltBytes, kHashBytes, Argon2_id),
      '\0');
  const int code = argon2id_hash_encoded(cost_.passes, cost_.memory_kib, kLanes, password.data(),
                                         password.size(), salt.data(), salt.size(), kHashBytes,
                                         encoded.data(), encoded.size());
  if (code != ARGON2_OK) {
    return Failed(code);
  }
  encoded.resize(encoded.find('\0'));
  return encoded;
}

Result<bool> PasswordHasher::Verify(std::string_view password, const std::string& hash) {
  const std::optional<Turn> turn = Turn::Take(*this);
  if (!turn) {
    return OutOfTurns();
  }
  const bool possible = password.size() <= kMaxPasswordBytes;
  const std::string_view hashed = possible ? password : std::string_view("");
  const int code = argon2id_verify(hash.c_str(), hashed.data(), hashed.size());
  switch (code) {
    case ARGON2_OK: return possible;
    case ARGON2_VERIFY_MISMATCH: return false;
    case ARGON2_DECODING_FAIL:
    case ARGON2_DECODING_LENGTH_FAIL:
    case ARGON2_INCORRECT_TYPE: return Corrupted("damaged entry", "password hash");
    default: return Failed(code);
  }
}

Result<bool> PasswordHasher::VerifyAgainstNobody(std::string_view password) {
  const bool matches = KMS_TRY(Verify(password, nobody_));
  if (matches) {
    return Internal("a random value is the hash of a password");
  }
  return false;
}

}  // namespace kms
