// SPDX-License-Identifier: Apache-2.0
// Signing by the mechanism that the token has: its own padding first, else padding in software
// around the raw RSA operation (RFC 8017). No signature leaves unverified: a fault in an RSA
// operation would give the key away.
#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "kms/base/random.h"
#include "kms/crypto/ecdsa_encoding.h"
#include "kms/crypto/signature.h"
#include "pkcs11/resident_use.h"

namespace kms::pkcs11 {
namespace {

struct HashRow {
  HashAlgorithm hash;
  std::uint8_t oid;             // the last arc of 2.16.840.1.101.3.4.2; 0 for SHA-1
  CK_MECHANISM_TYPE mechanism;  // 0: Cryptoki 2.40 has none
  CK_RSA_PKCS_MGF_TYPE mask;
};
constexpr HashRow kHashRows[] = {
    {HashAlgorithm::kSha1, 0, CKM_SHA_1, CKG_MGF1_SHA1},
    {HashAlgorithm::kSha2_224, 4, CKM_SHA224, CKG_MGF1_SHA224},
    {HashAlgorithm::kSha2_256, 1, CKM_SHA256, CKG_MGF1_SHA256},
    {HashAlgorithm::kSha2_384, 2, CKM_SHA384, CKG_MGF1_SHA384},
    {HashAlgorithm::kSha2_512, 3, CKM_SHA512, CKG_MGF1_SHA512},
    {HashAlgorithm::kSha3_224, 7, 0, 0},
    {HashAlgorithm::kSha3_256, 8, 0, 0},
    {HashAlgorithm::kSha3_384, 9, 0, 0},
    {HashAlgorithm::kSha3_512, 10, 0, 0},
};
const HashRow& RowOf(HashAlgorithm hash) {
  return *std::ranges::find(kHashRows, hash, &HashRow::hash);
}

// ---- padding in software -----------------------------------------------------------------------

// DigestInfo (RFC 8017, 9.2 and appendix B.1); the bare bytes without a hash.
Bytes DigestInfo(const ResidentSignRequest& request) {
  if (!request.hash.has_value()) return request.digest;
  const auto size = static_cast<std::uint8_t>(request.digest.size());
  const auto sum = [size](unsigned rest) { return static_cast<std::uint8_t>(rest + size); };
  const std::uint8_t oid = RowOf(*request.hash).oid;
  Bytes info;
  if (oid == 0) {
    info = {0x30, sum(13), 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00};
  } else {
    info = {0x30, sum(17), 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
            0x01, 0x65,    0x03, 0x04, 0x02, oid,  0x05, 0x00};
  }
  info.push_back(0x04);
  info.push_back(size);
  info.insert(info.end(), request.digest.begin(), request.digest.end());
  return info;
}

// EMSA-PKCS1-v1_5 (9.2).
Bytes FramedBlock(ByteView info, std::size_t size) {
  Bytes block(size, 0xff);
  block[0] = 0x00;
  block[1] = 0x01;
  const MutableByteView tail = MutableByteView(block).last(info.size() + 1);
  tail[0] = 0x00;
  std::ranges::copy(info, tail.begin() + 1);
  return block;
}

// MGF1 (appendix B.2.1), added to `out`.
Status AddMask(HashAlgorithm hash, ByteView seed, MutableByteView out) {
  Bytes input = CopyOf(seed);
  input.resize(seed.size() + 4);
  for (std::size_t done = 0, counter = 0; done < out.size(); ++counter) {
    input[seed.size() + 2] = static_cast<std::uint8_t>(counter >> 8U);
    input[seed.size() + 3] = static_cast<std::uint8_t>(counter);
    const HashValue value = KMS_TRY(ComputeHash(hash, input));
    for (const std::uint8_t byte : value.View()) {
      if (done == out.size()) break;
      out[done++] ^= byte;
    }
  }
  return Ok();
}

// EMSA-PSS (9.1.1) for a modulus of `size` whole bytes.
Result<Bytes> PssBlock(const ResidentSignRequest& request, std::size_t size) {
  const HashAlgorithm hash = *request.hash;
  const std::size_t hash_bytes = TraitsOf(hash).bytes;
  const std::size_t salt_bytes = request.salt_bytes;
  Bytes salted(8 + request.digest.size() + salt_bytes, 0);
  std::ranges::copy(request.digest, salted.begin() + 8);
  const MutableByteView salt = MutableByteView(salted).last(salt_bytes);
  if (!salt.empty()) FillRandom(salt);
  const HashValue value = KMS_TRY(ComputeHash(hash, salted));

  Bytes block(size, 0);
  const MutableByteView data = MutableByteView(block).first(size - hash_bytes - 1);
  data[data.size() - salt_bytes - 1] = 0x01;
  std::ranges::copy(salt, data.last(salt_bytes).begin());
  KMS_TRY(AddMask(hash, value.View(), data));
  data[0] &= 0x7f;
  std::ranges::copy(value.View(), block.begin() + static_cast<std::ptrdiff_t>(data.size()));
  block.back() = 0xbc;
  return block;
}

// ---- ways to sign ------------------------------------------------------------------------------

struct Way {
  CK_MECHANISM_TYPE type = 0;
  Bytes input;
  std::optional<CK_RSA_PKCS_PSS_PARAMS> pss;
};

int HashNumber(const ResidentSignRequest& request) {
  return request.hash.has_value() ? static_cast<int>(*request.hash) : -1;
}

Result<std::vector<Way>> WaysOf(const BoundResident& key, const ResidentSignRequest& request) {
  std::vector<Way> ways;
  const std::size_t size = key.modulus.size();
  switch (request.scheme) {
    case ResidentSignatureScheme::kEcdsa: ways.push_back({CKM_ECDSA, request.digest, {}}); break;
    case ResidentSignatureScheme::kRsaPkcs1v15: {
      Bytes info = DigestInfo(request);
      if (info.size() + 11 > size) {
        return InvalidArgument("crypto/rsa: message too long for RSA key size");
      }
      Bytes block = FramedBlock(info, size);
      // Nothing at all is no input for some modules.
      if (!info.empty()) ways.push_back({CKM_RSA_PKCS, std::move(info), {}});
      ways.push_back({CKM_RSA_X_509, std::move(block), {}});
      break;
    }
    case ResidentSignatureScheme::kRsaPss: {
      const HashRow& row = RowOf(*request.hash);
      if (row.mechanism != 0) {
        ways.push_back({CKM_RSA_PKCS_PSS, request.digest,
                        CK_RSA_PKCS_PSS_PARAMS{row.mechanism, row.mask, request.salt_bytes}});
      }
      ways.push_back({CKM_RSA_X_509, KMS_TRY(PssBlock(request, size)), {}});
      break;
    }
  }
  return ways;
}

Result<Bytes> SignInThisWay(Session& session, CK_OBJECT_HANDLE key, Way& way) {
  CK_MECHANISM mechanism{way.type, nullptr, 0};
  if (way.pss.has_value()) mechanism = {way.type, &*way.pss, sizeof(*way.pss)};
  return session.Sign(mechanism, key, way.input);
}

Error NotDone(const ResidentKeyRecord& record) {
  return InvalidArgument("the HSM token does not make such signatures with this " +
                         std::string(ResidentKeyTypeName(record.type)) +
                         " key; choose another hash or signature algorithm");
}

// A refusal ends a session: the ways after the first have sessions of their own.
Result<Bytes> SignSomehow(const ResidentUse& use, const ResidentSignRequest& request) {
  ResidentBindings& bindings = use.connection.residents();
  const Bytes& id = use.key.record.id;
  std::vector<Way> ways = KMS_TRY(WaysOf(use.key, request));
  for (Way& way : ways) {
    const bool last = &way == &ways.back();
    if (!last && bindings.Refuses(id, way.type, HashNumber(request))) continue;
    std::optional<Session> own;
    if (use.session.failure().has_value()) {
      const Rv opened = Session::OpenBeside(use.session, use.connection.facts().slot, own);
      if (!opened.ok()) return opened.ToError();
    }
    Session& session = own.has_value() ? *own : use.session;
    auto signature = SignInThisWay(session, use.key.handle, way);
    if (signature.has_value()) return signature;
    const std::optional<Rv> failure = session.failure();
    if (!failure.has_value() || failure->kind() != RvKind::kPolicy) return signature;
    bindings.NoteRefusal(id, way.type, HashNumber(request));
  }
  return NotDone(use.key.record);
}

// ---- judging -----------------------------------------------------------------------------------

Status CheckRequest(const BoundResident& key, const ResidentSignRequest& request) {
  const auto algorithm = AsymmetricAlgorithmOf(key.record.type);
  if (!algorithm.has_value() ||
      IsEcdsa(*algorithm) != (request.scheme == ResidentSignatureScheme::kEcdsa)) {
    return NotDone(key.record);
  }
  if (request.digest.size() > kMaxResidentDigestBytes) {
    return InvalidArgument("the input to be signed is too long");
  }
  if (IsEcdsa(*algorithm)) {
    const bool fits =
        !request.digest.empty() && request.digest.size() <= EcdsaFieldBytes(*algorithm);
    return fits ? Ok() : Status(InvalidArgument("the digest to be signed has no fitting length"));
  }
  if (request.hash.has_value() && request.digest.size() != TraitsOf(*request.hash).bytes) {
    return InvalidArgument("the digest to be signed is not as long as its hash");
  }
  if (request.scheme == ResidentSignatureScheme::kRsaPkcs1v15) return Ok();
  const bool salted =
      request.hash.has_value() &&
      std::size_t{request.salt_bytes} + request.digest.size() + 2 <= key.modulus.size();
  return salted ? Ok() : Status(InvalidArgument("the salt of the signature is too long"));
}

Result<Bytes> InItsForm(const ResidentUse& use, Bytes signature) {
  const AsymmetricAlgorithm algorithm = *AsymmetricAlgorithmOf(use.key.record.type);
  const std::size_t size =
      IsEcdsa(algorithm) ? 2 * EcdsaFieldBytes(algorithm) : use.key.modulus.size();
  if (signature.size() != size) {
    return use.session.Fail({CKR_DEVICE_ERROR, "C_Sign: impossible length"});
  }
  if (!IsEcdsa(algorithm)) return signature;
  return internal::EcdsaJwsToDer(algorithm, signature).value_or(Bytes());
}

bool Verifies(const ResidentKeyRecord& record, const ResidentSignRequest& request,
              ByteView signature) {
  const auto key =
      AsymmetricKey::FromPublicKey(*AsymmetricAlgorithmOf(record.type), record.public_key);
  if (!key.has_value()) return false;
  const bool pss = request.scheme == ResidentSignatureScheme::kRsaPss;
  const SignatureOptions options{
      .hash = request.hash,
      .prehashed = true,
      .rsa = pss ? RsaSignatureScheme::kPss : RsaSignatureScheme::kPkcs1v15,
      .salt_length = request.salt_bytes,  // 0 detects it
      .marshaling = SignatureMarshaling::kAsn1};
  return VerifySignature(*key, options, request.digest, signature).value_or(false);
}

}  // namespace

Result<Bytes> SignResident(const ResidentUse& use, const ResidentSignRequest& request) {
  KMS_TRY(CheckRequest(use.key, request));
  Bytes raw = KMS_TRY(SignSomehow(use, request));
  Bytes signature = KMS_TRY(InItsForm(use, std::move(raw)));
  if (Verifies(use.key.record, request, signature)) return signature;
  // The next call proves the key anew.
  use.connection.residents().Forget(use.key.record.id);
  return Unavailable(
      "the HSM made a signature that does not verify; it was not given out, retry "
      "and have the HSM checked if it persists");
}

}  // namespace kms::pkcs11
