// SPDX-License-Identifier: Apache-2.0
// The known-answer test of a wrap mechanism, in a session of its own for every expected failure:
// some modules leave a session unusable after one.
#include "pkcs11/negotiation.h"

#include <algorithm>

#include "kms/base/random.h"

namespace kms::pkcs11 {
namespace {

// Variations to try of each mechanism, in the table's order.
constexpr WrapProfile kCandidates[] = {
    {WrapMechanism::kGcmEncrypt, GcmParameterLayout::kWithIvBits, false},
    {WrapMechanism::kGcmEncrypt, GcmParameterLayout::kWithoutIvBits, false},
    {WrapMechanism::kKwpEncrypt, GcmParameterLayout::kWithIvBits, false},
    {WrapMechanism::kKwEncrypt, GcmParameterLayout::kWithIvBits, false},
    {WrapMechanism::kKwpWrap, GcmParameterLayout::kWithIvBits, false},
    {WrapMechanism::kKwpWrap, GcmParameterLayout::kWithIvBits, true},
    {WrapMechanism::kKwWrap, GcmParameterLayout::kWithIvBits, false},
    {WrapMechanism::kKwWrap, GcmParameterLayout::kWithIvBits, true},
    {WrapMechanism::kOaepSha256, GcmParameterLayout::kWithIvBits, false},
};

constexpr std::size_t kTestKeyBytes = 32;

class KnownAnswerTest {
 public:
  KnownAnswerTest(const Module& module, CK_SLOT_ID slot, const WrapProfile& profile)
      : module_(module), slot_(slot), profile_(profile) {}

  // `keeper` owns the throw-away key: a session's objects go with it.
  Result<GeneratedKey> MakeKey(Session& keeper, ExtraAttributes extras) const {
    return GenerateMasterKeyObject(keeper,
                                   {.id = Uuid::Random(),
                                    .label = "known-answer test",
                                    .mechanism = profile_.mechanism,
                                    .in_token = false},
                                   extras);
  }

  Status Run(const GeneratedKey& key) const {
    const WrappingKey wrapping{
        .handle = key.handle, .profile = profile_, .public_key = key.public_key};
    SecretBytes secret = KMS_TRY(SecretBytes::OfSize(kTestKeyBytes));
    FillRandom(secret.MutableView());
    const WrappedKey first = KMS_TRY(WrapOnce(wrapping, secret));
    const WrappedKey second = KMS_TRY(WrapOnce(wrapping, secret));
    if ((first.blob == second.blob) != RowOf(profile_.mechanism).deterministic) {
      return Failed("two wraps of one key are equal, or differ, against the mechanism's nature");
    }
    KMS_TRY(ExpectRefused(wrapping, first, AsBytes("another context")));
    WrappedKey damaged = first;
    damaged.blob.front() ^= 1U;
    KMS_TRY(ExpectRefused(wrapping, damaged, kContext));
    damaged = first;
    damaged.blob.pop_back();
    KMS_TRY(ExpectRefused(wrapping, damaged, kContext));
    return ExpectOpens(wrapping, second, secret);
  }

 private:
  static inline const ByteView kContext = AsBytes("known-answer test context");

  static Error Failed(std::string why) { return FailedPrecondition(std::move(why)); }

  Result<WrappedKey> WrapOnce(const WrappingKey& key, const SecretBytes& secret) const {
    Session session = KMS_TRY(Session::Open(module_, slot_));
    WrappedKey wrapped = KMS_TRY(WrapUnder(session, key, secret, kContext));
    KMS_TRY(ExpectOpens(key, wrapped, secret));
    return wrapped;
  }

  Status ExpectOpens(const WrappingKey& key, const WrappedKey& wrapped,
                     const SecretBytes& secret) const {
    Session session = KMS_TRY(Session::Open(module_, slot_));
    const SecretBytes opened = KMS_TRY(UnwrapUnder(session, key, wrapped, kContext));
    if (opened == secret) return Ok();
    return Failed("what was wrapped opens to something else");
  }

  Status ExpectRefused(const WrappingKey& key, const WrappedKey& wrapped, ByteView context) const {
    Session session = KMS_TRY(Session::Open(module_, slot_));
    if (!UnwrapUnder(session, key, wrapped, context).has_value()) return Ok();
    return Failed("damage or another context is not noticed");
  }

  const Module& module_;
  const CK_SLOT_ID slot_;
  const WrapProfile profile_;
};

// Makes the throw-away key (with the extra attributes if the token takes them) and tests.
Status TestCandidate(const Module& module, CK_SLOT_ID slot, const WrapProfile& profile,
                     Negotiated& negotiated) {
  const KnownAnswerTest test(module, slot, profile);
  for (const auto extras :
       {ExtraAttributes::kUnmodifiableAndOneMechanism, ExtraAttributes::kNone}) {
    Session keeper = KMS_TRY(Session::Open(module, slot));
    const auto key = test.MakeKey(keeper, extras);
    if (!key.has_value() && extras != ExtraAttributes::kNone) continue;
    if (!key.has_value()) return key.error();
    const Status passed = test.Run(*key);
    if (!passed.has_value() && extras != ExtraAttributes::kNone) continue;
    if (passed.has_value() && negotiated.usable.empty()) {
      const bool modifiable = KMS_TRY(keeper.ReadFlag(key->handle, CKA_MODIFIABLE));
      negotiated.reports_local = KMS_TRY(keeper.ReadFlag(key->handle, CKA_LOCAL));
      negotiated.extras = extras;
      negotiated.honours_unmodifiable = extras != ExtraAttributes::kNone && !modifiable;
    }
    return passed;
  }
  return Internal("known-answer test");
}

bool IsUsable(const Negotiated& negotiated, WrapMechanism mechanism) {
  return std::ranges::find(negotiated.usable, mechanism, &WrapProfile::mechanism) !=
         negotiated.usable.end();
}

}  // namespace

Result<Negotiated> NegotiateMechanisms(const Module& module, CK_SLOT_ID slot,
                                       const std::string& pinned) {
  Negotiated negotiated;
  std::string report;
  for (const WrapProfile& candidate : kCandidates) {
    const std::string_view name = WrapMechanismName(candidate.mechanism);
    const bool last_resort = candidate.mechanism == WrapMechanism::kOaepSha256;
    if (!pinned.empty() && pinned != name) continue;
    if (IsUsable(negotiated, candidate.mechanism)) continue;
    if (last_resort && !negotiated.usable.empty()) continue;
    const Status passed = TestCandidate(module, slot, candidate, negotiated);
    if (passed.has_value()) {
      negotiated.usable.push_back(candidate);
      continue;
    }
    report += std::string(name) + ": " + Describe(passed.error()) + "; ";
  }
  if (!negotiated.usable.empty()) return negotiated;
  TokenFacts facts;
  const Rv alive = module.ReadToken(slot, facts);
  if (!alive.ok()) return alive.ToError();
  return FailedPrecondition(
      "the HSM token passes the known-answer test of no wrap mechanism that this service uses; "
      "enable AES-GCM, AES key wrap or RSA-OAEP with SHA-256 for its user",
      report);
}

}  // namespace kms::pkcs11
