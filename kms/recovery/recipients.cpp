// SPDX-License-Identifier: Apache-2.0
// The sealed form of RecoveryRecipients, format 1; numbers big-endian, text(n) and bytes(n) with a
// 4-byte length:
//
//   'R' | format(1) | threshold(1) | recipients(1) | per recipient: name text(n) | key bytes(n)
#include "kms/recovery/recipients.h"

#include <set>
#include <utility>

#include "kms/base/record_codec.h"
#include "kms/crypto/shamir.h"
#include "kms/crypto/share_encryption.h"
#include "kms/keys/split_key.h"

namespace kms {

namespace {

constexpr char kKind = 'R';
constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kWhat = "recovery recipients";
constexpr std::size_t kVersionDigits = 10;

static_assert(kMaxRecoveryRecipients == kMaxSecretShares);

std::string Digits(EnvironmentKeyVersion version) {
  const std::string digits = std::to_string(version);
  return std::string(kVersionDigits - digits.size(), '0') + digits;
}

Status CheckThreshold(std::size_t threshold, std::size_t count) {
  if (count == 0 || count > kMaxRecoveryRecipients) {
    return InvalidArgument("recovery needs 1 to 32 holders");
  }
  if (threshold == 1 && count > 1) {
    return InvalidArgument(
        "a recovery threshold of 1 would let each of the holders open the environment alone; give "
        "2 "
        "or more, or one holder");
  }
  if (threshold == 0 || threshold > count) {
    return InvalidArgument(
        "the recovery threshold must be from 2 to the number of holders, which is " +
        std::to_string(count));
  }
  return Ok();
}

Result<EncryptedShare> EncryptShare(const SplitKey& split, const SecretShare& share,
                                    const RecoveryRecipient& recipient) {
  EncryptedShare encrypted{
      .number = share.number, .holder = recipient.name, .check = {}, .encrypted = {}};
  encrypted.check = KMS_TRY(ShareCheck(split, share.number, share.value));
  encrypted.encrypted = KMS_TRY(EncryptToHolder(recipient.public_key, share.value,
                                                ShareContext(split, share.number, recipient.name)));
  return encrypted;
}

}  // namespace

Status RecoveryRecipients::Check() const {
  KMS_TRY(CheckThreshold(threshold, recipients.size()));
  std::set<std::string> names;
  std::set<Bytes> keys;
  for (const RecoveryRecipient& recipient : recipients) {
    KMS_TRY(CheckHolderName(recipient.name));
    if (!names.insert(recipient.name).second) {
      return InvalidArgument("the holder " + recipient.name + " is named twice");
    }
    if (!keys.insert(recipient.public_key).second) {
      return InvalidArgument("the holder " + recipient.name + " has the key of another one");
    }
    const Status key = CheckHolderPublicKey(recipient.public_key);
    if (!key.has_value()) {
      return MakeError(key.error().code,
                       "the holder " + recipient.name + ": " + key.error().public_message,
                       key.error().detail);
    }
  }
  return Ok();
}

Bytes RecoveryRecipients::Encode() const {
  RecordWriter writer(kKind, kFormat);
  writer.Put(threshold);
  writer.Put(static_cast<std::uint8_t>(recipients.size()));
  for (const RecoveryRecipient& recipient : recipients) {
    writer.PutText(recipient.name);
    writer.PutSized(recipient.public_key);
  }
  return writer.Take();
}

Result<RecoveryRecipients> RecoveryRecipients::Decode(ByteView encoded) {
  RecordReader reader(encoded);
  KMS_TRY(ReadHead(reader, kKind, kFormat, kWhat));
  RecoveryRecipients decoded;
  decoded.threshold = reader.Get<std::uint8_t>();
  const auto count = reader.Get<std::uint8_t>();
  for (std::size_t index = 0; index < count && !reader.failed(); ++index) {
    RecoveryRecipient recipient;
    recipient.name = reader.GetText();
    recipient.public_key = CopyOf(reader.GetSized());
    decoded.recipients.push_back(std::move(recipient));
  }
  if (!reader.Finished()) {
    return DamagedRecord(kWhat, "wrong length");
  }
  const Status good = decoded.Check();
  if (!good.has_value()) {
    return DamagedRecord(kWhat, good.error().public_message);
  }
  return decoded;
}

std::string RecoveryPrefix(const Uuid& environment_id) {
  return "recovery/" + environment_id.ToString() + "/";
}

std::string RecoveryPath(const Uuid& environment_id, EnvironmentKeyVersion version) {
  return RecoveryPrefix(environment_id) + Digits(version);
}

std::string RecipientsPath(const Uuid& environment_id) {
  return "recovery/" + environment_id.ToString();
}

Result<SealedMutation> StoreRecipients(const Uuid& environment_id,
                                       const RecoveryRecipients& recipients) {
  return SealedMutation{.path = RecipientsPath(environment_id),
                        .value = KMS_TRY(SecretBytes::CopyOf(recipients.Encode())),
                        .expected_revision = std::nullopt};
}

Result<Mutation> SplitForRecovery(const RecoverySubject& subject, const SecretBytes& key,
                                  const RecoveryRecipients& recipients) {
  KMS_TRY(recipients.Check());
  if (key.size() != kEnvironmentKeyBytes) {
    return InvalidArgument("an environment key has 32 bytes");
  }
  SplitKey split{.environment_id = subject.environment_id,
                 .environment = subject.environment,
                 .version = subject.version,
                 .split_id = Uuid::Random(),
                 .threshold = recipients.threshold,
                 .check = {},
                 .shares = {}};
  split.check = KMS_TRY(SplitKeyCheck(split, key));
  const std::vector<SecretShare> shares =
      KMS_TRY(SplitSecret(key, recipients.threshold, recipients.recipients.size()));
  for (std::size_t index = 0; index < shares.size(); ++index) {
    EncryptedShare encrypted =
        KMS_TRY(EncryptShare(split, shares[index], recipients.recipients[index]));
    split.shares.push_back(std::move(encrypted));
  }
  return Mutation{.path = RecoveryPath(subject.environment_id, subject.version),
                  .value = split.Encode(),
                  .expected_revision = std::nullopt};
}

Result<std::optional<RecoveryRecipients>> ReadRecipients(SealedStore& sys,
                                                         const Uuid& environment_id) {
  const std::optional<OpenedEntry> entry = KMS_TRY(sys.Get(RecipientsPath(environment_id)));
  if (!entry) {
    return std::optional<RecoveryRecipients>{};
  }
  return std::optional<RecoveryRecipients>{
      KMS_TRY(RecoveryRecipients::Decode(entry->value.View()))};
}

}  // namespace kms
