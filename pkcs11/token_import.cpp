// SPDX-License-Identifier: Apache-2.0
// The verbs of MasterKeyDevice that deal with import keys, on a real token.
#include <mutex>
#include <utility>

#include "pkcs11/import_key_maker.h"
#include "pkcs11/token.h"
#include "pkcs11/token_impl.h"

namespace kms::pkcs11 {
namespace {

Error DoesNotOpen() { return InvalidArgument("crypto/rsa: decryption error"); }

// With these a token may refuse a ciphertext, whatever is wrong with it.
bool MayMeanTheCiphertext(const Rv& rv) {
  return rv.kind() == RvKind::kIntegrity || rv.kind() == RvKind::kAmbiguous ||
         rv.kind() == RvKind::kPolicy;
}

// The recorded key, judged anew for every call: that costs little beside an RSA operation.
Result<ImportKeyObject> BindImportKey(const Connection& connection, Session& session,
                                      const ImportKeyRecord& record) {
  auto key = KMS_TRY(FindImportKey(session, record.id));
  if (!key.has_value()) {
    KMS_TRY(RequireLogin(session));
    return NotFound("the HSM token has no import key " + record.id.ToString());
  }
  KMS_TRY(CheckImportKeyAttributes(session, key->handle, connection.ImportDemands()));
  if (key->public_key != record.public_key) {
    return Corrupted("the import key in the HSM is not the recorded one; restore the token from a "
                     "backup");
  }
  return *std::move(key);
}

// In a session of its own: some modules leave one unusable after a failure.
bool StillOpens(const Connection& connection, Session& caller, const ImportKeyObject& key,
                HashAlgorithm hash, OaepPlace place) {
  auto session = Session::OpenBeside(caller, connection.facts().slot);
  return session.has_value() && OpensItsOwnImports(*session, key, hash, place).value_or(false);
}

}  // namespace

Result<std::optional<ImportKeyRecord>> Token::GenerateImportKey(const Uuid& id,
                                                                const std::string& label,
                                                                Deadline deadline) {
  // One at a time, or two calls with one id would make two keys.
  const std::unique_lock one_at_a_time(impl_->import_key_mutex(), deadline);
  if (!one_at_a_time.owns_lock()) {
    return Unavailable("the HSM is making another import key; retry later");
  }
  std::optional<ImportKeyRecord> record;
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    ImportKeyMaker maker(call.connection, call.session, {.id = id, .label = label});
    record = KMS_TRY(maker.AdoptOrMake(deadline));
    return Ok();
  };
  KMS_TRY(impl_->Run({.deadline = deadline, .locks_objects = true}, operation));
  return record;
}

Result<SecretBytes> Token::DecryptImport(const ImportKeyRecord& record, HashAlgorithm hash,
                                         ByteView ciphertext, Deadline deadline) {
  const OaepPlace place = record.PlaceOf(hash);
  if (place == OaepPlace::kNowhere) {
    return InvalidArgument("the HSM does not open imports of this hash function, but of SHA256");
  }
  SecretBytes plaintext;
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    const ImportKeyObject key = KMS_TRY(BindImportKey(call.connection, call.session, record));
    auto opened = OpenImport(call.session, key,
                             {.hash = hash, .place = place, .bytes = ciphertext});
    if (opened.has_value()) {
      if (!opened->has_value()) return DoesNotOpen();
      plaintext = **std::move(opened);
      return Ok();
    }
    const std::optional<Rv>& failure = call.session.failure();
    const bool refused = failure.has_value() && MayMeanTheCiphertext(*failure);
    if (refused && StillOpens(call.connection, call.session, key, hash, place)) return DoesNotOpen();
    return opened.error();
  };
  KMS_TRY(impl_->Run({.deadline = deadline, .import_key = &record.id}, operation));
  return plaintext;
}

Status Token::DestroyImportKey(const Uuid& id, const std::string& label, Deadline deadline) {
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    const Rv present = call.connection.CheckPresent();
    if (!present.ok()) return call.session.Fail(present);
    KMS_TRY(DestroyImportKeyObjects(call.session, id, label));
    return call.connection.BackUp(deadline);
  };
  return impl_->Run({.deadline = deadline, .changes_objects = true}, operation);
}

}  // namespace kms::pkcs11
