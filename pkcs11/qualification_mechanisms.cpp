// SPDX-License-Identifier: Apache-2.0
// Mechanisms as the token lists them and as they pass the known-answer test; the master key that
// follows from them; what becomes of nonces.
#include <algorithm>
#include <array>
#include <set>

#include "kms/base/random.h"
#include "pkcs11/attributes.h"
#include "pkcs11/qualification_bench.h"

namespace kms::pkcs11 {
namespace {

constexpr std::size_t kNoncesToCompare = 64;

bool Lists(const std::vector<CK_MECHANISM_TYPE>& list, CK_MECHANISM_TYPE type) {
  return std::ranges::find(list, type) != list.end();
}

// The token says of the mechanism that it does what the candidate needs.
bool Promises(const QualificationBench& bench, const MechanismRow& row) {
  CK_MECHANISM_INFO info{};
  if (bench.calls().C_GetMechanismInfo(bench.slot(), row.type, &info) != CKR_OK) return false;
  CK_FLAGS needed =
      row.usage == KeyUsage::kEncryptDecrypt ? CKF_ENCRYPT | CKF_DECRYPT : CKF_WRAP | CKF_UNWRAP;
  if (UsesRsa(row.mechanism)) needed = CKF_DECRYPT;  // encrypting is done with the public key
  return (info.flags & needed) == needed;
}

std::string_view OriginText(NonceOrigin origin) {
  switch (origin) {
    case NonceOrigin::kNone: return "";
    case NonceOrigin::kCaller: return "; the nonce is ours";
    case NonceOrigin::kReplaced: return "; the token replaces our nonce by its own";
    case NonceOrigin::kAppended: return "; the token appends a nonce of its own to the output";
  }
  return "";
}

std::string_view OriginName(NonceOrigin origin) {
  switch (origin) {
    case NonceOrigin::kNone: return "none";
    case NonceOrigin::kCaller: return "caller";
    case NonceOrigin::kReplaced: return "replaced";
    case NonceOrigin::kAppended: return "appended";
  }
  return "";
}

void AddToList(QualificationBench& bench, const std::string& fact, const std::string& name) {
  const std::string known = bench.Known(fact);
  bench.Learn(fact, known.empty() ? name : known + " " + name);
}

void TellPassed(QualificationBench& bench, const WrapProfile& candidate, const Proof& proof,
                bool listed) {
  const std::string name = CandidateName(candidate);
  std::string text = "proven by known answers";
  text += OriginText(proof.nonce_origin);
  if (!listed) text += "; the token's list lacks it";
  if (proof.by_token_key) text += "; with a token object, since it makes no session keys";
  bench.Good(name, text);
  AddToList(bench, "mechanisms.proven", name);
  const std::string& pinned = bench.task().token.pinned_mechanism;
  const bool wanted = pinned.empty() || pinned == WrapMechanismName(candidate.mechanism);
  if (wanted && bench.Known("best.candidate").empty()) bench.LearnBest(candidate, proof);
  if (candidate.mechanism == WrapMechanism::kGcmEncrypt) {
    bench.Learn("gcm.nonce", std::string(OriginName(proof.nonce_origin)));
    AddToList(bench, "gcm.layouts", std::to_string(static_cast<int>(candidate.gcm_layout)));
  }
}

// ---- the master key

Status CheckFoundByAnotherSession(QualificationBench& bench, const QualificationBench::TestKey& key,
                                  const WrappedKey& sentinel) {
  Session session = KMS_TRY(bench.Open());
  const CK_OBJECT_HANDLE found = KMS_TRY(FindMasterKeyObject(session, key.id));
  MasterKeyRecord record;
  record.id = key.id;
  record.mechanism = key.profile.mechanism;
  record.gcm_layout = key.profile.gcm_layout;
  record.unwrap_needs_value_length = key.profile.unwrap_needs_value_length;
  record.public_key = key.key.public_key;
  record.sentinel = sentinel;
  return OpenSentinel(session, found, record);
}

Status TryMasterKey(QualificationBench& bench) {
  Session session = KMS_TRY(bench.Open());
  const auto key = KMS_TRY(bench.MakeKey(session, /*in_token=*/true));
  const KeyDemands demands{.mechanism = key.profile.mechanism,
                           .unmodifiable = false,
                           .local = bench.Known("best.reports_local") == "yes"};
  KMS_TRY(CheckMasterKeyAttributes(session, key.key.handle, demands));
  const WrappedKey sentinel = KMS_TRY(WrapSentinel(session, key.wrapping(), key.id));
  KMS_TRY(CheckFoundByAnotherSession(bench, key, sentinel));
  Session destroyer = KMS_TRY(bench.Open());
  return DestroyMasterKeyObjects(destroyer, key.id, kQualificationLabel);
}

// A zero-length nonce is a constant one to some modules; this service never passes one.
void TellEmptyNonce(QualificationBench& bench, Session& session, CK_OBJECT_HANDLE key) {
  GcmParametersWithIvBits parameters{};
  parameters.tag_bits = 128;
  CK_MECHANISM mechanism{CKM_AES_GCM, &parameters, sizeof(parameters)};
  const std::array<std::uint8_t, 16> plaintext{};
  const auto accepted = session.Encrypt(mechanism, key, plaintext);
  bench.Note("empty nonce", accepted.has_value()
                                ? "accepted: other programs with this PIN must not pass one"
                                : "refused: " + ToldError(accepted.error()));
}

}  // namespace

std::string CandidateName(const WrapProfile& candidate) {
  std::string name(WrapMechanismName(candidate.mechanism));
  if (candidate.gcm_layout == GcmParameterLayout::kWithoutIvBits) name += "/40-byte-parameters";
  if (candidate.unwrap_needs_value_length) name += "/value-length";
  return name;
}

Status QualifyMechanismList(QualificationBench& bench) {
  const auto list = KMS_TRY(bench.ListMechanisms());
  bench.Learn("mechanisms.listed", std::to_string(list.size()));
  bench.Note("listed", std::to_string(list.size()) + " mechanisms; what counts is what passes");
  return Ok();
}

Status QualifyCandidate(QualificationBench& bench, const WrapProfile& candidate) {
  const MechanismRow& row = RowOf(candidate.mechanism);
  const auto list = KMS_TRY(bench.ListMechanisms());
  const bool listed = Lists(list, row.type);
  const auto proof = bench.Prove(candidate);
  if (proof.has_value()) {
    TellPassed(bench, candidate, *proof, listed);
    return Ok();
  }
  const std::string name = CandidateName(candidate);
  const bool variation = name != WrapMechanismName(candidate.mechanism);
  const bool promised = listed && Promises(bench, row);
  if (promised && !variation) {
    bench.Note(name, "listed, but fails its test: " + ToldError(proof.error()));
    AddToList(bench, "mechanisms.lies", name);
  } else {
    bench.Note(name, (listed ? "not for this use: " : "not listed: ") + ToldError(proof.error()));
  }
  return Ok();
}

Status QualifyMasterKey(QualificationBench& bench) {
  if (!bench.BestProfile().has_value()) {
    const std::string& pinned = bench.task().token.pinned_mechanism;
    bench.Bad("mechanism", pinned.empty()
                               ? "no wrap mechanism that this service uses passes its test; enable "
                                 "AES-GCM, AES key wrap or RSA-OAEP with SHA-256 for the user"
                               : pinned + " does not pass its test; try without naming one");
    return Ok();
  }
  const Status tried = TryMasterKey(bench);
  if (!tried.has_value()) {
    bench.Bad("master key", ToldError(tried.error()));
    return Ok();
  }
  bench.Learn("master_key", "ok");
  bench.Good("master key", "made with " + bench.Known("best.mechanism") +
                               ", attributes as demanded, found by CKA_ID, opens its sentinel in "
                               "another session, destroyed");
  return Ok();
}

Status QualifyGcm(QualificationBench& bench) {
  const auto profile = bench.BestProfile();
  if (!profile.has_value() || profile->mechanism != WrapMechanism::kGcmEncrypt) {
    bench.Note("nonces", "not tested: AES-GCM is not what would be used");
    return Ok();
  }
  Session session = KMS_TRY(bench.Open());
  const auto key = KMS_TRY(bench.MakeKey(session, /*in_token=*/false));
  std::set<Bytes> nonces;
  SecretBytes secret = KMS_TRY(SecretBytes::OfSize(32));
  FillRandom(secret.MutableView());
  for (std::size_t round = 0; round < kNoncesToCompare; ++round) {
    const WrappedKey wrapped = KMS_TRY(WrapUnder(session, key.wrapping(), secret, AsBytes("gcm")));
    nonces.insert(wrapped.nonce);
  }
  if (nonces.size() != kNoncesToCompare) {
    bench.Bad("nonces", "the token repeats nonces: " + std::to_string(nonces.size()) +
                            " different ones in " + std::to_string(kNoncesToCompare) + " wraps");
    return Ok();
  }
  bench.Good("nonces",
             std::to_string(kNoncesToCompare) + " wraps, no nonce twice; parameter layouts of " +
                 bench.Known("gcm.layouts") + " bytes; nonce: " + bench.Known("gcm.nonce"));
  Session fresh = KMS_TRY(bench.Open());
  TellEmptyNonce(bench, fresh, key.key.handle);
  return Ok();
}

}  // namespace kms::pkcs11
