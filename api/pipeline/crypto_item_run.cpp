// SPDX-License-Identifier: Apache-2.0
// One item: decode base64, check what goes with it, call the operation, append the result.
#include "api/pipeline/crypto_item_run.h"

#include <limits>

#include "api/pipeline/json_writer.h"
#include "kms/base/base64.h"
#include "kms/crypto/crc32c.h"
#include "kms/keys/key_type.h"
#include "kms/operations/decrypt.h"
#include "kms/operations/encrypt.h"
#include "kms/operations/generate_data_key.h"
#include "kms/operations/rewrap.h"

namespace kms::api {
namespace {

constexpr std::size_t kMaxDataKeyBytes = 512 / 8;

struct Scratch {
  PlaintextBuffer plaintext;
  PlaintextBuffer associated_data;
  PlaintextBuffer context;
};

Scratch& ThreadScratch() {
  thread_local Scratch scratch;
  return scratch;
}

Status DecodeInto(std::string_view text, PlaintextBuffer& buffer) {
  const MutableByteView room = buffer.Reset(Base64DecodedBound(text.size()));
  buffer.Truncate(KMS_TRY(Base64DecodeInto(text, room)));
  return Ok();
}

// ---- checksums ---------------------------------------------------------------------------------

std::string_view InputChecksumName(HotVerb verb) {
  return verb == HotVerb::kEncrypt ? "plaintext_crc32c" : "ciphertext_crc32c";
}

Status CheckChecksum(std::string_view name, const std::optional<std::int64_t>& sent,
                     ByteView arrived) {
  if (!sent) [[likely]] {
    return Ok();
  }
  if (*sent < 0 || *sent > std::numeric_limits<std::uint32_t>::max()) {
    return InvalidArgument(std::string(name) + " must be a number from 0 to 4294967295");
  }
  if (static_cast<std::uint32_t>(*sent) == Crc32c(arrived)) {
    return Ok();
  }
  return InvalidArgument(std::string(name) +
                         " does not match: what arrived is not what was sent, or was never what "
                         "the checksum is of; nothing was done with it");
}

bool WantsChecksums(const ItemRun& run) {
  return run.request.wants_checksums || run.item.input_crc32c || run.item.associated_data_crc32c;
}

void AppendChecksum(std::string_view member, ByteView of, std::string& out) {
  out += member;
  AppendInteger(Crc32c(of), out);
}

void AppendVerified(const ItemRun& run, std::string& out) {
  if (run.item.input_crc32c) {
    out += R"(,"verified_)";
    out += InputChecksumName(run.request.verb);
    out += R"(":true)";
  }
  if (run.item.associated_data_crc32c) {
    out += R"(,"verified_associated_data_crc32c":true)";
  }
}

// ---- what goes with an item --------------------------------------------------------------------

std::string AssociatedDataRefusal(const ItemRun& run) {
  const std::string place =
      run.request.verb == HotVerb::kDataKey
          ? "'associated_data'"
          : "'[" + std::to_string(run.index) + "].associated_data'";
  return place + " provided for non-AEAD cipher suite " +
         std::string(TraitsOf(run.key.policy().type).name);
}

Result<ByteView> DecodeAssociatedData(const ItemRun& run, PlaintextBuffer& buffer) {
  const CryptoItem& item = run.item;
  ByteView decoded;
  if (!item.associated_data.empty()) {
    if (const Status status = DecodeInto(item.associated_data, buffer); !status) {
      return InvalidArgument("unable to get associated_data/additional_data from factory[" +
                             std::to_string(run.index) + "]: " + status.error().public_message);
    }
    decoded = buffer.View();
  }
  KMS_TRY(CheckChecksum("associated_data_crc32c", item.associated_data_crc32c, decoded));
  return decoded;
}

// A context means nothing to keys that are not derived, but a broken one is still refused.
Result<ByteView> DecodeContext(const CryptoItem& item, PlaintextBuffer& buffer) {
  if (item.context.empty()) {
    return ByteView();
  }
  KMS_TRY(DecodeInto(item.context, buffer));
  return buffer.View();
}

// Who sends a nonce expects it to be used; to drop it in silence would leave him believing so.
Status RefuseNonce(const CryptoItem& item) {
  return item.nonce.empty() ? Ok() : Status(InvalidArgument("nonce provided when not allowed"));
}

Result<RsaEncryptionPadding> PaddingOf(const ItemRun& run, std::string_view scheme) {
  if (scheme.empty()) [[likely]] {
    return RsaEncryptionPadding::kOaep;
  }
  if (scheme != "oaep" && scheme != "pkcs1v15") {
    return InvalidArgument(R"(unknown padding scheme; must be "oaep" or "pkcs1v15")");
  }
  const KeyTypeTraits& traits = TraitsOf(run.key.policy().type);
  if (traits.family != KeyFamily::kRsa) {
    return InvalidArgument("unsupported key type " + std::string(traits.name) +
                           " for padding scheme");
  }
  if (scheme == "oaep") {
    return RsaEncryptionPadding::kOaep;
  }
  if (!run.rules.allow_pkcs1v15) {
    return InvalidArgument(
        "padding scheme pkcs1v15 is not enabled here: it lets callers who can provoke decryptions "
        "read messages; tune the environment's option allow_pkcs1v15 to \"true\" to take that "
        "risk, or use oaep");
  }
  return RsaEncryptionPadding::kPkcs1v15;
}

// A ciphertext that no request can carry back could never be decrypted here (C19).
Status CheckReturnable(const ItemRun& run, std::size_t plaintext_bytes) {
  constexpr std::size_t kAroundCiphertext = 128;  // names, quotes, braces and "vault:v4294967295:"
  const std::size_t payload = kMaxAeadNonceBytes + plaintext_bytes + kAeadTagBytes;
  const std::size_t request = Base64EncodedSize(payload) + run.item.associated_data.size() +
                              run.item.context.size() + kAroundCiphertext;
  if (request <= run.rules.max_request_bytes) [[likely]] {
    return Ok();
  }
  return InvalidArgument(
      "plaintext, associated data and context are too long: the ciphertext and they would not fit "
      "into a request of " +
      std::to_string(run.rules.max_request_bytes) + " bytes, and so never be decrypted");
}

// ---- the verbs ---------------------------------------------------------------------------------
// Every function below appends the members of one result, without braces, and returns the key
// version; on an error the caller cuts off what was appended.

// Ends the ciphertext that was appended from `start` and says what goes with it.
void EndCiphertext(const ItemRun& run, std::size_t start, std::string& out) {
  if (!WantsChecksums(run)) [[likely]] {
    out += '"';
    return;
  }
  const std::uint32_t checksum = Crc32c(AsBytes(std::string_view(out).substr(start)));
  out += R"(","ciphertext_crc32c":)";
  AppendInteger(checksum, out);
  AppendVerified(run, out);
}

void AppendVersion(std::int64_t version, std::string& out) {
  out += R"(,"key_version":)";
  AppendInteger(version, out);
}

void AppendPlaintext(const ItemRun& run, ByteView plaintext, std::string& out) {
  out += R"("plaintext":")";
  AppendBase64(plaintext, out);
  out += '"';
  if (WantsChecksums(run)) {
    AppendChecksum(R"(,"plaintext_crc32c":)", plaintext, out);
  }
}

Result<std::int64_t> EncryptItem(const ItemRun& run, std::string& out) {
  const CryptoItem& item = run.item;
  if (!item.has_input) {
    return InvalidArgument("missing plaintext to encrypt");
  }
  Scratch& scratch = ThreadScratch();
  const ByteView context = KMS_TRY(DecodeContext(item, scratch.context));
  const ByteView associated_data = KMS_TRY(DecodeAssociatedData(run, scratch.associated_data));
  const RsaEncryptionPadding padding = KMS_TRY(PaddingOf(run, item.padding_scheme));
  KMS_TRY(DecodeInto(item.input, scratch.plaintext));
  KMS_TRY(CheckChecksum("plaintext_crc32c", item.input_crc32c, scratch.plaintext.View()));
  KMS_TRY(CheckReturnable(run, scratch.plaintext.size()));
  out += R"("ciphertext":")";
  const std::size_t start = out.size();
  const EncryptInput input{.plaintext = scratch.plaintext.View(),
                           .associated_data = associated_data,
                           .key_version = item.key_version,
                           .context = context,
                           .padding = padding,
                           .verify = run.rules.verify_encryption};
  const std::int64_t version = KMS_TRY(Encrypt(run.key, input, out));
  EndCiphertext(run, start, out);
  AppendVersion(version, out);
  return version;
}

Result<std::int64_t> DecryptItem(const ItemRun& run, std::string& out) {
  const CryptoItem& item = run.item;
  if (item.input.empty()) {
    return InvalidArgument("missing ciphertext to decrypt");
  }
  Scratch& scratch = ThreadScratch();
  const ByteView context = KMS_TRY(DecodeContext(item, scratch.context));
  const ByteView associated_data = KMS_TRY(DecodeAssociatedData(run, scratch.associated_data));
  const RsaEncryptionPadding padding = KMS_TRY(PaddingOf(run, item.padding_scheme));
  KMS_TRY(CheckChecksum("ciphertext_crc32c", item.input_crc32c, AsBytes(item.input)));
  const DecryptInput input{.ciphertext = item.input,
                           .associated_data = associated_data,
                           .context = context,
                           .padding = padding};
  const std::int64_t version = KMS_TRY(Decrypt(run.key, input, scratch.plaintext));
  AppendPlaintext(run, scratch.plaintext.View(), out);
  AppendVerified(run, out);
  return version;
}

Result<std::int64_t> RewrapItem(const ItemRun& run, std::string& out) {
  const CryptoItem& item = run.item;
  if (item.input.empty()) {
    return InvalidArgument("missing ciphertext to decrypt");
  }
  Scratch& scratch = ThreadScratch();
  const ByteView context = KMS_TRY(DecodeContext(item, scratch.context));
  const ByteView associated_data = KMS_TRY(DecodeAssociatedData(run, scratch.associated_data));
  const RsaEncryptionPadding from = KMS_TRY(PaddingOf(run, item.decrypt_padding_scheme));
  const RsaEncryptionPadding to = KMS_TRY(PaddingOf(run, item.padding_scheme));
  KMS_TRY(CheckChecksum("ciphertext_crc32c", item.input_crc32c, AsBytes(item.input)));
  out += R"("ciphertext":")";
  const std::size_t start = out.size();
  const RewrapInput input{.ciphertext = item.input,
                          .associated_data = associated_data,
                          .key_version = item.key_version,
                          .context = context,
                          .decrypt_padding = from,
                          .encrypt_padding = to,
                          .verify = run.rules.verify_encryption};
  const std::int64_t version = KMS_TRY(Rewrap(run.key, input, out));
  EndCiphertext(run, start, out);
  AppendVersion(version, out);
  return version;
}

// One pair of a data key and its encryption, without the version.
Result<std::int64_t> AppendDataKey(const ItemRun& run, const DataKeyInput& input,
                                   std::string& out) {
  PlaintextBuffer& plaintext = ThreadScratch().plaintext;
  out += R"("ciphertext":")";
  const std::size_t start = out.size();
  const std::int64_t version = KMS_TRY(GenerateDataKey(run.key, input, plaintext, out));
  EndCiphertext(run, start, out);
  if (run.request.reveals_data_key) {
    out += ',';
    AppendPlaintext(run, plaintext.View(), out);
  }
  return version;
}

Result<DataKeyInput> DataKeyInputOf(const ItemRun& run) {
  const CryptoItem& item = run.item;
  Scratch& scratch = ThreadScratch();
  const Result<ByteView> context = DecodeContext(item, scratch.context);
  if (!context) {
    return InvalidArgument("failed to base64-decode context");
  }
  KMS_TRY(CheckReturnable(run, kMaxDataKeyBytes));
  return DataKeyInput{
      .bits = run.request.bits,
      .associated_data = KMS_TRY(DecodeAssociatedData(run, scratch.associated_data)),
      .key_version = item.key_version,
      .context = *context,
      .padding = KMS_TRY(PaddingOf(run, item.padding_scheme)),
      .verify = run.rules.verify_encryption};
}

// "key_pairs", each as datakey answers it, under one version.
Result<std::int64_t> MakeDataKeys(const ItemRun& run, const DataKeyInput& input,
                                  std::string& out) {
  out += R"("key_pairs":)";
  JsonArray pairs(out);
  std::int64_t version = 0;
  for (std::int64_t made = 0; made < *run.request.count; ++made) {
    pairs.Next() += '{';
    version = KMS_TRY(AppendDataKey(run, input, out));
    out += '}';
  }
  pairs.Close();
  AppendVersion(version, out);
  return version;
}

Result<std::int64_t> MakeDataKey(const ItemRun& run, std::string& out) {
  const DataKeyInput input = KMS_TRY(DataKeyInputOf(run));
  if (run.request.count) {
    return MakeDataKeys(run, input, out);
  }
  const std::int64_t version = KMS_TRY(AppendDataKey(run, input, out));
  AppendVersion(version, out);
  return version;
}

}  // namespace

bool HasMisplacedAssociatedData(const ItemRun& run) {
  return !run.item.associated_data.empty() &&
         !TraitsOf(run.key.policy().type).takes_associated_data;
}

Result<std::int64_t> RunItem(const ItemRun& run, std::string& out) {
  if (HasMisplacedAssociatedData(run)) {
    return InvalidArgument(AssociatedDataRefusal(run));
  }
  KMS_TRY(RefuseNonce(run.item));
  switch (run.request.verb) {
    case HotVerb::kEncrypt: return EncryptItem(run, out);
    case HotVerb::kDecrypt: return DecryptItem(run, out);
    case HotVerb::kRewrap: return RewrapItem(run, out);
    case HotVerb::kDataKey: return MakeDataKey(run, out);
    case HotVerb::kNone: break;
  }
  return Internal("an item without a verb");
}

void WipeItemBuffers() {
  Scratch& scratch = ThreadScratch();
  scratch.plaintext.Wipe();
  scratch.associated_data.Wipe();
  scratch.context.Wipe();
}

void ForgetCryptoBuffers() { ThreadScratch() = Scratch(); }

}  // namespace kms::api
