// SPDX-License-Identifier: Apache-2.0
// The verbs of ResidentKeyDevice on a real token.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "kms/base/digest.h"
#include "pkcs11/resident_maker.h"
#include "pkcs11/resident_object.h"
#include "pkcs11/resident_use.h"
#include "pkcs11/token.h"
#include "pkcs11/token_impl.h"

namespace kms::pkcs11 {
namespace {

constexpr std::string_view kById = "id=";

// What a missing key is remembered by.
Uuid TagOf(ByteView id) {
  const Sha256Digest digest = Sha256(id);
  return Uuid::FromBytes(ByteView(digest).first(Uuid::kBytes)).value_or(Uuid());
}

std::optional<Bytes> DecodeHex(std::string_view text) {
  if (text.empty() || text.size() % 2 != 0 || text.size() > 510) return std::nullopt;
  Bytes bytes;
  for (std::size_t index = 0; index < text.size(); ++index) {
    const char c = text[index];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return std::nullopt;
    if (index % 2 == 0) {
      bytes.push_back(static_cast<std::uint8_t>(digit << 4));
    } else {
      bytes.back() = static_cast<std::uint8_t>(bytes.back() | digit);
    }
  }
  return bytes;
}

Result<ResidentObjects> FindReferred(Session& session, std::string_view reference) {
  if (!reference.starts_with(kById)) return FindLabelledObjects(session, reference);
  const auto id = DecodeHex(reference.substr(kById.size()));
  if (!id.has_value()) {
    return InvalidArgument("a key in an HSM is referred to by its label, or as id=<hex>");
  }
  return FindResidentObjects(session, *id);
}

// The public half with the id of the private one.
Result<CK_OBJECT_HANDLE> PublicHalf(Session& session, ByteView id) {
  const ResidentObjects found = KMS_TRY(FindResidentObjects(session, id));
  return found.publics.empty() ? CK_OBJECT_HANDLE{CK_INVALID_HANDLE} : found.publics.front();
}

Result<ResidentKeyRecord> Describe(Connection& connection, Session& session,
                                   CK_OBJECT_HANDLE handle) {
  BoundResident key{.handle = handle, .record = {}};
  ResidentKeyRecord& record = key.record;
  record.id = KMS_TRY(session.ReadAttribute(handle, CKA_ID));
  const Bytes label = KMS_TRY(session.ReadAttribute(handle, CKA_LABEL));
  record.label = AsText(label);
  KMS_TRY(RefuseOwnLabel(record.label));
  if (record.id.empty() || record.id.size() > 255) {
    return FailedPrecondition(
        "the key in the HSM has no CKA_ID of 1 to 255 bytes; give it one, "
        "the same to both halves of a pair");
  }
  record.type = KMS_TRY(ReadResidentType(session, handle));
  KMS_TRY(CheckExternalAttributes(session, handle, record.type));
  record.token_label = connection.facts().label;
  record.token_serial = connection.facts().serial;
  const CK_OBJECT_HANDLE public_half = KMS_TRY(PublicHalf(session, record.id));
  record.public_key = KMS_TRY(ReadResidentPublicKey(session, record.type, handle, public_half));
  KMS_TRY(ProveResident(connection, session, key));
  return record;
}

Result<ResidentKeyRecord> FindExternal(Connection& connection, Session& session,
                                       const std::string& reference) {
  const ResidentObjects found = KMS_TRY(FindReferred(session, reference));
  if (found.secrets.empty()) {
    KMS_TRY(RequireLogin(session));
    return NotFound("the HSM token has no key \"" + reference + "\"");
  }
  if (found.secrets.size() > 1) {
    return FailedPrecondition("the HSM token has " + std::to_string(found.secrets.size()) +
                              " keys \"" + reference + "\"; refer to one by id=<hex>");
  }
  return Describe(connection, session, found.secrets.front());
}

}  // namespace

template <typename Operation>
Status Token::UseResident(const ResidentKeyRecord& record, Deadline deadline,
                          const Operation& operation) {
  const Uuid tag = TagOf(record.id);
  const Impl::Operation bound = [&](const Impl::CallContext& call) -> Status {
    const BoundResident key = KMS_TRY(BindResident(call.connection, call.session, record));
    const Status done =
        operation(ResidentUse{.connection = call.connection, .session = call.session, .key = key});
    const std::optional<Rv>& failure = call.session.failure();
    if (failure.has_value() && failure->kind() == RvKind::kKeyHandle) {
      call.connection.residents().Forget(record.id);
    }
    return done;
  };
  return impl_->Run({.deadline = deadline, .import_key = &tag}, bound);
}

Result<ResidentKeyRecord> Token::GenerateResidentKey(const Uuid& id, ResidentKeyType type,
                                                     const std::string& label, Deadline deadline) {
  // One at a time, or two calls with one id would make two keys.
  const std::unique_lock one_at_a_time(impl_->import_key_mutex(), deadline);
  if (!one_at_a_time.owns_lock()) {
    return Unavailable("the HSM is making another key; retry later");
  }
  ResidentKeyRecord record;
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    ResidentKeyMaker maker(call.connection, call.session, {.id = id, .type = type, .label = label});
    record = KMS_TRY(maker.AdoptOrMake(deadline));
    return Ok();
  };
  KMS_TRY(impl_->Run({.deadline = deadline, .locks_objects = true}, operation));
  return record;
}

Result<ResidentKeyRecord> Token::FindResidentKey(const std::string& reference, Deadline deadline) {
  ResidentKeyRecord record;
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    record = KMS_TRY(FindExternal(call.connection, call.session, reference));
    return Ok();
  };
  KMS_TRY(impl_->Run({.deadline = deadline}, operation));
  return record;
}

Status Token::DestroyResidentKey(const ResidentKeyRecord& key, Deadline deadline) {
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    const Rv present = call.connection.CheckPresent();
    if (!present.ok()) return call.session.Fail(present);
    call.connection.residents().Forget(key.id);
    KMS_TRY(DestroyResidentObjects(call.session, key.id, key.label));
    return call.connection.BackUp(deadline);
  };
  return impl_->Run({.deadline = deadline, .changes_objects = true}, operation);
}

Result<Bytes> Token::ResidentSign(const ResidentKeyRecord& key, const ResidentSignRequest& request,
                                  Deadline deadline) {
  Bytes signature;
  const auto operation = [&](const ResidentUse& use) -> Status {
    signature = KMS_TRY(SignResident(use, request));
    return Ok();
  };
  KMS_TRY(UseResident(key, deadline, operation));
  return signature;
}

Result<SecretBytes> Token::ResidentRsaDecrypt(const ResidentKeyRecord& key,
                                              std::optional<HashAlgorithm> hash,
                                              ByteView ciphertext, Deadline deadline) {
  SecretBytes plaintext;
  const auto operation = [&](const ResidentUse& use) -> Status {
    plaintext = KMS_TRY(DecryptRsaResident(use, hash, ciphertext));
    return Ok();
  };
  KMS_TRY(UseResident(key, deadline, operation));
  return plaintext;
}

Result<ResidentCiphertext> Token::ResidentEncrypt(const ResidentKeyRecord& key,
                                                  const SecretBytes& plaintext, ByteView aad,
                                                  Deadline deadline) {
  if (plaintext.size() + aad.size() > kMaxResidentMessageBytes) {
    return InvalidArgument("the message is too long for a key in an HSM");
  }
  ResidentCiphertext ciphertext;
  const auto operation = [&](const ResidentUse& use) -> Status {
    if (use.key.record.type != ResidentKeyType::kAes256Gcm) {
      return InvalidArgument("the key in the HSM is no AES key");
    }
    ciphertext = KMS_TRY(EncryptGcm(use.session, use.key, plaintext.View(), aad));
    if (ciphertext.nonce.size() == key.nonce_bytes) return Ok();
    return Unavailable(
        "the HSM makes nonces of another length than when the key was made; nothing "
        "was encrypted, check its settings");
  };
  KMS_TRY(UseResident(key, deadline, operation));
  return ciphertext;
}

Result<SecretBytes> Token::ResidentAgree(const ResidentKeyRecord& key, ByteView peer_public_key,
                                         Deadline deadline) {
  SecretBytes shared_secret;
  const auto operation = [&](const ResidentUse& use) -> Status {
    shared_secret = KMS_TRY(AgreeResident(use, peer_public_key));
    return Ok();
  };
  KMS_TRY(UseResident(key, deadline, operation));
  return shared_secret;
}

Result<SecretBytes> Token::ResidentDecrypt(const ResidentKeyRecord& key,
                                           const ResidentCiphertext& ciphertext, ByteView aad,
                                           Deadline deadline) {
  SecretBytes plaintext;
  const auto operation = [&](const ResidentUse& use) -> Status {
    if (use.key.record.type != ResidentKeyType::kAes256Gcm) {
      return InvalidArgument("the key in the HSM is no AES key");
    }
    plaintext = KMS_TRY(DecryptResident(use, ciphertext, aad));
    return Ok();
  };
  KMS_TRY(UseResident(key, deadline, operation));
  return plaintext;
}

}  // namespace kms::pkcs11
