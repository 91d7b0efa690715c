// SPDX-License-Identifier: Apache-2.0
// The known-answer test of a wrap mechanism, in a session of its own for every expected failure:
// some modules leave a session unusable after one.
#include "pkcs11/negotiation.h"

#include <algorithm>
#include <iterator>

#include "kms/base/random.h"
#include "pkcs11/wrap_signature.h"

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
  KnownAnswerTest(Session& anchor, CK_SLOT_ID slot, const WrapProfile& profile)
      : anchor_(anchor), slot_(slot), profile_(profile) {}

  Result<Session> Open() {
    std::optional<Session> session;
    const Rv rv = Session::Open(anchor_.module(), slot_, session);
    lacks_sessions_ = rv.kind() == RvKind::kBusy;
    if (lacks_sessions_) {
      return MakeError(ErrorCode::kResourceExhausted,
                       "the HSM token grants no session for the test of its mechanisms; it is "
                       "tried again", rv.ToError().detail);
    }
    if (!rv.ok()) return rv.ToError();
    return std::move(*session);
  }
  Result<Session> OpenKeeper() { return anchor_keeps_ ? anchor_.Share() : Open(); }
  // From now on the test takes one session at a time.
  void KeepByAnchor() {
    anchor_keeps_ = true;
    lacks_sessions_ = false;
  }
  [[nodiscard]] bool lacks_sessions() const { return lacks_sessions_; }

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
  Result<NonceOrigin> Run(const GeneratedKey& key, bool damage) {
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

  Result<WrappedKey> WrapOnce(const WrappingKey& key, const SecretBytes& secret) {
    WrappedKey wrapped;
    {
      Session session = KMS_TRY(Open());
      wrapped = KMS_TRY(WrapUnder(session, key, secret, kContext));
    }
    KMS_TRY(ExpectOpens(key, wrapped, secret));
    return wrapped;
  }

  Status ExpectOpens(const WrappingKey& key, const WrappedKey& wrapped, const SecretBytes& secret) {
    Session session = KMS_TRY(Open());
    const SecretBytes opened = KMS_TRY(UnwrapUnder(session, key, wrapped, kContext));
    if (opened == secret) return Ok();
    return Failed("what was wrapped opens to something else");
  }

  Status ExpectDamageRefused(const WrappingKey& key, const WrappedKey& wrapped) {
    WrappedKey damaged = wrapped;
    damaged.blob.front() ^= 1U;
    KMS_TRY(ExpectRefused(key, damaged, kContext));
    damaged = wrapped;
    damaged.blob.pop_back();
    return ExpectRefused(key, damaged, kContext);
  }

  Status ExpectRefused(const WrappingKey& key, const WrappedKey& wrapped, ByteView context) {
    Session session = KMS_TRY(Open());
    if (!UnwrapUnder(session, key, wrapped, context).has_value()) return Ok();
    return Failed("damage or another context is not noticed");
  }

  Session& anchor_;
  const CK_SLOT_ID slot_;
  const WrapProfile profile_;
  bool anchor_keeps_ = false;
  bool lacks_sessions_ = false;
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

// A session's objects go with it, but not with a shared one.
void LetGo(Session& keeper, const GeneratedKey& key) {
  if (!keeper.is_shared()) return;
  for (const CK_OBJECT_HANDLE object : {key.handle, key.public_handle}) {
    if (object != CK_INVALID_HANDLE) IgnoreError(keeper.DestroyObject(object), "the login's end does");
  }
}

Result<Proof> ProveKey(KnownAnswerTest& test, Session& keeper, const Attempt& attempt,
                       const GeneratedKey& key) {
  Proof proof{.extras = attempt.extras, .by_token_key = attempt.in_token};
  proof.nonce_origin = KMS_TRY(test.Run(key, /*damage=*/!attempt.in_token));
  const bool modifiable = KMS_TRY(keeper.ReadFlag(key.handle, CKA_MODIFIABLE));
  proof.reports_local = KMS_TRY(keeper.ReadFlag(key.handle, CKA_LOCAL));
  proof.honours_unmodifiable =
      attempt.extras == ExtraAttributes::kUnmodifiableAndOneMechanism && !modifiable;
  return proof;
}

// `made`: the key was made, so that it is the mechanism that fails.
Result<Proof> TryCandidate(KnownAnswerTest& test, Session& keeper, const Attempt& attempt,
                           bool& made) {
  const GeneratedKey key = KMS_TRY(test.MakeKey(keeper, attempt.extras, attempt.in_token));
  made = true;
  auto proof = ProveKey(test, keeper, attempt, key);
  if (!attempt.in_token) LetGo(keeper, key);
  return proof;
}

// A fault, not a refusal: what the token never did, it refuses.
bool IsWrongAnswer(ErrorCode code) {
  return code == ErrorCode::kUnavailable || code == ErrorCode::kCorrupted;
}

// What the public key alone can make is worth nothing without a signature.
Status PrepareSigning(Session& anchor, CK_SLOT_ID slot, const Proof& proof,
                      Negotiated& negotiated) {
  Session session = KMS_TRY(Session::OpenBeside(anchor, slot));
  const Status ready =
      EnsureWrapKey(session, slot, proof.reports_local, negotiated.made_objects);
  if (ready.has_value()) return ready;
  Error error = ready.error();
  error.public_message = "the token has no key to sign its wraps with: " + error.public_message;
  return error;
}

bool IsUsable(const Negotiated& negotiated, WrapMechanism mechanism) {
  return std::ranges::find(negotiated.usable, mechanism, &WrapProfile::mechanism) !=
         negotiated.usable.end();
}

// Some tokens, such as a TPM, have no session objects.
Result<Proof> ProveByTokenKey(KnownAnswerTest& test) {
  for (const auto extras : {ExtraAttributes::kNone, ExtraAttributes::kFewest}) {
    Session keeper = KMS_TRY(test.OpenKeeper());
    KMS_TRY(RemoveTestKeys(keeper));
    bool made = false;
    auto proof = TryCandidate(test, keeper, {.extras = extras, .in_token = true}, made);
    if (!made && extras != ExtraAttributes::kFewest) continue;
    Session cleaner = KMS_TRY(test.Open());
    KMS_TRY(RemoveTestKeys(cleaner));
    return proof;
  }
  return Internal("known-answer test");
}

Result<Proof> ProveInSomeWay(KnownAnswerTest& test, const WrapProfile& profile) {
  for (const auto extras :
       {ExtraAttributes::kUnmodifiableAndOneMechanism, ExtraAttributes::kNone}) {
    const bool last = extras == ExtraAttributes::kNone;
    Session keeper = KMS_TRY(test.OpenKeeper());
    bool made = false;
    auto proof = TryCandidate(test, keeper, {.extras = extras}, made);
    if (proof.has_value() || test.lacks_sessions()) return proof;
    if (!last) continue;
    if (made || !UsesRsa(profile.mechanism) || !MayDoOtherwise(keeper)) return proof;
  }
  return ProveByTokenKey(test);
}

}  // namespace

std::span<const WrapProfile> WrapCandidates() { return kCandidates; }

Result<Proof> ProveCandidate(Session& anchor, CK_SLOT_ID slot, const WrapProfile& profile) {
  KnownAnswerTest test(anchor, slot, profile);
  auto proof = ProveInSomeWay(test, profile);
  if (proof.has_value() || !test.lacks_sessions()) return proof;
  test.KeepByAnchor();
  return ProveInSomeWay(test, profile);
}

Result<Negotiated> NegotiateMechanisms(Session& anchor, CK_SLOT_ID slot, const std::string& pinned,
                                       std::span<const WrapProfile> earlier) {
  Negotiated negotiated;
  bool answers_wrongly = false;
  for (const WrapProfile& candidate : kCandidates) {
    const std::string_view name = WrapMechanismName(candidate.mechanism);
    if (!pinned.empty() && pinned != name) continue;
    if (IsUsable(negotiated, candidate.mechanism)) continue;
    if (UsesRsa(candidate.mechanism) && !negotiated.usable.empty()) continue;
    auto proof = ProveCandidate(anchor, slot, candidate);
    if (proof.has_value() && UsesRsa(candidate.mechanism)) {
      const Status prepared = PrepareSigning(anchor, slot, *proof, negotiated);
      if (!prepared.has_value()) proof = prepared.error();
    }
    // That says nothing of the mechanism.
    if (!proof.has_value() && proof.error().code == ErrorCode::kResourceExhausted) {
      return Unavailable(proof.error().public_message, proof.error().detail);
    }
    if (!proof.has_value()) {
      negotiated.report += std::string(name) + ": " + Describe(proof.error()) + "; ";
      answers_wrongly = answers_wrongly || IsWrongAnswer(proof.error().code);
      continue;
    }
    if (negotiated.usable.empty()) {
      negotiated.extras = proof->extras;
      negotiated.honours_unmodifiable = proof->honours_unmodifiable;
      negotiated.reports_local = proof->reports_local;
    }
    negotiated.usable.push_back(candidate);
  }
  std::ranges::copy_if(
      earlier, std::back_inserter(negotiated.missing),
      [&](const WrapProfile& profile) { return !IsUsable(negotiated, profile.mechanism); });
  if (!negotiated.usable.empty()) return negotiated;
  TokenFacts facts;
  const Rv alive = anchor.module().ReadToken(slot, facts);
  if (!alive.ok()) return alive.ToError();
  if (answers_wrongly && !earlier.empty()) {
    return Unavailable(
        "the HSM gives wrong answers to the test of every wrap mechanism, where it gave right ones "
        "before; it is tested again, have it checked if this lasts",
        negotiated.report);
  }
  return FailedPrecondition(
      "the HSM token passes the known-answer test of no wrap mechanism that this service uses; "
      "`kmsd hsm-test` shows what it lacks: enable AES-GCM, AES key wrap or RSA-OAEP with SHA-256 "
      "for its user",
      negotiated.report);
}

}  // namespace kms::pkcs11
