// SPDX-License-Identifier: Apache-2.0
// Checkpoints: signed statements of where the chain has come to.
#include "kms/audit/checkpoint.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>

#include "kms/audit/json_text.h"
#include "kms/audit/record.h"
#include "kms/base/base64.h"

namespace kms {
namespace {

struct KeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct MdContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

std::unique_ptr<EVP_PKEY, KeyDeleter> ParsePublicKey(ByteView der) {
  const unsigned char* cursor = der.data();
  std::unique_ptr<EVP_PKEY, KeyDeleter> key(
      d2i_PUBKEY(nullptr, &cursor, static_cast<long>(der.size())));
  const bool whole = key != nullptr && cursor == der.data() + der.size();
  return whole && EVP_PKEY_is_a(key.get(), "EC") == 1 ? std::move(key) : nullptr;
}

std::string CheckpointMembers(const AuditHead& head, const CheckpointSigner& signer,
                              ByteView signature, WallTime now,
                              const std::optional<StoreStatement>& store) {
  std::string members;
  AppendAuditHeading(now, "checkpoint", members);
  members.append(",\"checkpoint\":{\"seq\":");
  AppendJsonNumber(head.seq, members);
  members.append(",\"hash\":\"").append(HexEncode(head.hash));
  members.append("\",");
  if (store) {
    members.append("\"epoch\":");
    AppendJsonNumber(store->epoch, members);
    members.append(",\"store_revision\":");
    AppendJsonNumber(store->revision, members);
    members.append(",\"store_digest\":\"").append(store->digest).append("\",");
  }
  members.append("\"public_key\":\"");
  AppendBase64(signer.public_key, members);
  members.append("\",\"signature\":\"");
  AppendBase64(signature, members);
  members.append("\"}");
  return members;
}

}  // namespace

std::string CheckpointMessage(const AuditHead& head, std::string_view time,
                              const std::optional<StoreStatement>& store) {
  std::string message = store ? "kms audit checkpoint v2\n" : "kms audit checkpoint v1\n";
  AppendJsonNumber(head.seq, message);
  message.append("\n").append(HexEncode(head.hash)).append("\n").append(time).append("\n");
  if (store) {
    AppendJsonNumber(store->epoch, message);
    message.append("\n");
    AppendJsonNumber(store->revision, message);
    message.append("\n").append(store->digest).append("\n");
  }
  return message;
}

Status WriteCheckpoint(AuditLog& log, const AuditHead& head, const CheckpointSigner& signer,
                       WallTime now, Deadline deadline,
                       const std::optional<StoreStatement>& store) {
  const std::string message = CheckpointMessage(head, ToRfc3339(now), store);
  const Bytes signature = KMS_TRY(signer.sign(AsBytes(message)));
  const std::string members = CheckpointMembers(head, signer, signature, now, store);
  const AuditTicket ticket = KMS_TRY(log.Append(members));
  return log.Await(ticket, deadline);
}

bool VerifyCheckpointSignature(ByteView public_key, ByteView signature, std::string_view message) {
  const auto key = ParsePublicKey(public_key);
  const std::unique_ptr<EVP_MD_CTX, MdContextDeleter> context(EVP_MD_CTX_new());
  const ByteView signed_bytes = AsBytes(message);
  const bool valid =
      key != nullptr && context != nullptr &&
      EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), signed_bytes.data(),
                       signed_bytes.size()) == 1;
  ERR_clear_error();
  return valid;
}

}  // namespace kms
