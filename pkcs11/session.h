// SPDX-License-Identifier: Apache-2.0
// Session: one open session and its typed calls; remembers the first failure.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/module.h"

namespace kms::pkcs11 {

// Every call returns what the classification table says of a failure; failure() has the value
// itself, for those who retry. After any failure the session must not be used for other work: some
// modules leave an operation active for ever.
// Thread rule: one thread at a time. `module` must outlive it.
class Session {
 public:
  static Result<Session> Open(const Module& module, CK_SLOT_ID slot);
  // As Open, for callers that act on the return value.
  static Rv Open(const Module& module, CK_SLOT_ID slot, std::optional<Session>& session);
  // One more beside `caller`, for a step that may leave it unusable or makes objects that end with
  // it. A token that grants no more has the step share the caller's (H17), as Share().
  static Result<Session> OpenBeside(Session& caller, CK_SLOT_ID slot);
  static Rv OpenBeside(Session& caller, CK_SLOT_ID slot, std::optional<Session>& session);
  // The same session with a failure() of its own; this one must outlive it, and is spent: not to be
  // kept for later calls.
  Session Share();
  [[nodiscard]] bool is_shared() const { return !owned_; }
  [[nodiscard]] bool is_spent() const { return spent_; }

  Session(Session&& other) noexcept;
  Session& operator=(Session&& other) noexcept;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  [[nodiscard]] Rv Login(CK_USER_TYPE user, const SecretBytes& pin);

  // Whether the token still holds the user's login.
  Result<bool> LoggedIn();

  // ---- objects
  Result<CK_OBJECT_HANDLE> GenerateKey(CK_MECHANISM_TYPE mechanism,
                                       std::span<CK_ATTRIBUTE> attributes);
  struct KeyPair {
    CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
    CK_OBJECT_HANDLE private_key = CK_INVALID_HANDLE;
  };
  Result<KeyPair> GenerateKeyPair(CK_MECHANISM_TYPE mechanism,
                                  std::span<CK_ATTRIBUTE> public_attributes,
                                  std::span<CK_ATTRIBUTE> private_attributes);
  Result<CK_OBJECT_HANDLE> CreateObject(std::span<CK_ATTRIBUTE> attributes);
  Result<CK_OBJECT_HANDLE> CopyObject(CK_OBJECT_HANDLE object, std::span<CK_ATTRIBUTE> attributes);
  Status DestroyObject(CK_OBJECT_HANDLE object);
  // At most 16: callers want one and complain about two.
  Result<std::vector<CK_OBJECT_HANDLE>> Find(std::span<CK_ATTRIBUTE> attributes);
  // False when the object lacks the attribute, without making the session fail.
  Result<bool> ReadFlag(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
  // Empty when the object lacks the attribute. At most `limit` bytes.
  Result<Bytes> ReadAttribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                              std::size_t limit = 4096);
  // Reads CKA_VALUE of a session key that was unwrapped or derived to be read.
  Result<SecretBytes> ReadKeyValue(CK_OBJECT_HANDLE key, std::size_t limit);

  // ---- cryptography. Output buffers are input + 64 bytes or `limit`; size queries lie.
  Result<Bytes> Encrypt(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE key, ByteView plaintext);
  Result<SecretBytes> Decrypt(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE key, ByteView ciphertext);
  Result<Bytes> Sign(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE key, ByteView data);
  Result<Bytes> Wrap(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
                     std::size_t key_bytes);
  Result<CK_OBJECT_HANDLE> Unwrap(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE unwrapping,
                                  ByteView wrapped, std::span<CK_ATTRIBUTE> attributes);
  Result<CK_OBJECT_HANDLE> Derive(CK_MECHANISM& mechanism, CK_OBJECT_HANDLE base,
                                  std::span<CK_ATTRIBUTE> attributes);
  Result<SecretBytes> Random(std::size_t size);

  // Records a failure that the module did not report itself, such as an impossible length.
  Error Fail(Rv rv);
  [[nodiscard]] const std::optional<Rv>& failure() const { return failure_; }
  [[nodiscard]] CK_SESSION_HANDLE handle() const { return handle_; }
  [[nodiscard]] const Module& module() const { return *module_; }

 private:
  Session(const Module& module, CK_SESSION_HANDLE handle, bool owned = true)
      : module_(&module), handle_(handle), owned_(owned) {}
  // Ok, or the recorded failure.
  Status Check(CK_RV rv, std::string_view function);
  void Close();

  const Module* module_;
  CK_SESSION_HANDLE handle_;
  bool owned_;  // false: another one closes it
  bool spent_ = false;
  std::optional<Rv> failure_;
};

}  // namespace kms::pkcs11
