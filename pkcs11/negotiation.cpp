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
    {WrapMechanism::kOaepSha256Raw, GcmParameterLayout::kWithIvBits, false},
};

constexpr std::size_t kTestKeyBytes = 32;
// Of keys that tokens without session objects make for the test; what a crash left is removed.
constexpr std::string_view kTestLabel = "kms-test known answers";

class KnownAnswerTest {
 public:
  KnownAnswerTest(const Module& module, CK_SLOT_ID slot, const WrapProfile& profile)
      : module_(module), slot_(slot), profile_(profile) {}

  // `keeper` owns the throw-away key: a session's objects go with it.
  Result<GeneratedKey> MakeKey(Session& keeper, ExtraAttributes extras, bool in_token) const {
    return GenerateMasterKeyObject(keeper,
                                   {.id = Uuid::Random(),
                                    .label = std::string(kTestLabel),
                                    .mechanism = profile_.mechanism,
                                    .in_token = in_token},
                                   extras);
  }

  // Without `damage` nothing is asked that the token must refuse: a TPM destroys no key that a call
  // has failed with before it is initialised anew.
  Result<NonceOrigin> Run(const GeneratedKey& key, bool damage) const {
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
    if (damage) KMS_TRY(ExpectDamageRefused(wrapping, first));
    KMS_TRY(ExpectOpens(wrapping, second, secret));
    return first.nonce_origin;
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

  Status ExpectDamageRefused(const WrappingKey& key, const WrappedKey& wrapped) const {
    WrappedKey damaged = wrapped;
    damaged.blob.front() ^= 1U;
    KMS_TRY(ExpectRefused(key, damaged, kContext));
    damaged = wrapped;
    damaged.blob.pop_back();
    return ExpectRefused(key, damaged, kContext);
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

// Whether another kind of key may succeed where this one was refused.
bool MayDoOtherwise(const Session& session) {
  const std::optional<Rv>& failure = session.failure();
  return failure.has_value() &&
         (failure->kind() == RvKind::kPolicy || failure->kind() == RvKind::kAmbiguous);
}

Status RemoveTestKeys(Session& session) {
  AttributeList wanted;
  wanted.Flag(CKA_TOKEN, true).Data(CKA_LABEL, AsBytes(kTestLabel));
  const auto found = KMS_TRY(session.Find(wanted.span()));
  for (const CK_OBJECT_HANDLE object : found) KMS_TRY(session.DestroyObject(object));
  return Ok();
}

struct Attempt {
  ExtraAttributes extras = ExtraAttributes::kNone;
  bool in_token = false;
};

// `made`: the key was made, so that it is the mechanism that fails.
Result<Proof> TryCandidate(const KnownAnswerTest& test, Session& keeper, const Attempt& attempt,
                           bool& made) {
  const GeneratedKey key = KMS_TRY(test.MakeKey(keeper, attempt.extras, attempt.in_token));
  made = true;
  Proof proof{.extras = attempt.extras, .by_token_key = attempt.in_token};
  proof.nonce_origin = KMS_TRY(test.Run(key, /*damage=*/!attempt.in_token));
  const bool modifiable = KMS_TRY(keeper.ReadFlag(key.handle, CKA_MODIFIABLE));
  proof.reports_local = KMS_TRY(keeper.ReadFlag(key.handle, CKA_LOCAL));
  proof.honours_unmodifiable =
      attempt.extras == ExtraAttributes::kUnmodifiableAndOneMechanism && !modifiable;
  return proof;
}

bool IsUsable(const Negotiated& negotiated, WrapMechanism mechanism) {
  return std::ranges::find(negotiated.usable, mechanism, &WrapProfile::mechanism) !=
         negotiated.usable.end();
}

// Some tokens, such as a TPM, have no session objects.
Result<Proof> ProveByTokenKey(const Module& module, CK_SLOT_ID slot, const KnownAnswerTest& test) {
  for (const auto extras : {ExtraAttributes::kNone, ExtraAttributes::kFewest}) {
    Session keeper = KMS_TRY(Session::Open(module, slot));
    KMS_TRY(RemoveTestKeys(keeper));
    bool made = false;
    auto proof = TryCandidate(test, keeper, {.extras = extras, .in_token = true}, made);
    if (!made && extras != ExtraAttributes::kFewest) continue;
    Session cleaner = KMS_TRY(Session::Open(module, slot));
    KMS_TRY(RemoveTestKeys(cleaner));
    return proof;
  }
  return Internal("known-answer test");
}

}  // namespace

std::span<const WrapProfile> WrapCandidates() { return kCandidates; }

Result<Proof> ProveCandidate(const Module& module, CK_SLOT_ID slot, const WrapProfile& profile) {
  const KnownAnswerTest test(module, slot, profile);
  for (const auto extras :
       {ExtraAttributes::kUnmodifiableAndOneMechanism, ExtraAttributes::kNone}) {
    const bool last = extras == ExtraAttributes::kNone;
    Session keeper = KMS_TRY(Session::Open(module, slot));
    bool made = false;
    auto proof = TryCandidate(test, keeper, {.extras = extras}, made);
    if (proof.has_value()) return proof;
    if (!last) continue;
    if (made || !UsesRsa(profile.mechanism) || !MayDoOtherwise(keeper)) return proof;
  }
  return ProveByTokenKey(module, slot, test);
}

Result<Negotiated> NegotiateMechanisms(const Module& module, CK_SLOT_ID slot,
                                       const std::string& pinned) {
  Negotiated negotiated;
  for (const WrapProfile& candidate : kCandidates) {
    const std::string_view name = WrapMechanismName(candidate.mechanism);
    if (!pinned.empty() && pinned != name) continue;
    if (IsUsable(negotiated, candidate.mechanism)) continue;
    if (UsesRsa(candidate.mechanism) && !negotiated.usable.empty()) continue;
    const auto proof = ProveCandidate(module, slot, candidate);
    if (!proof.has_value()) {
      negotiated.report += std::string(name) + ": " + Describe(proof.error()) + "; ";
      continue;
    }
    if (negotiated.usable.empty()) {
      negotiated.extras = proof->extras;
      negotiated.honours_unmodifiable = proof->honours_unmodifiable;
      negotiated.reports_local = proof->reports_local;
    }
    negotiated.usable.push_back(candidate);
  }
  if (!negotiated.usable.empty()) return negotiated;
  TokenFacts facts;
  const Rv alive = module.ReadToken(slot, facts);
  if (!alive.ok()) return alive.ToError();
  return FailedPrecondition(
      "the HSM token passes the known-answer test of no wrap mechanism that this service uses; "
      "`kmsd hsm-test` shows what it lacks: enable AES-GCM, AES key wrap or RSA-OAEP with SHA-256 "
      "for its user",
      negotiated.report);
}

}  // namespace kms::pkcs11
