// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/ecdsa_encoding.h"

#include <algorithm>

#include "kms/crypto/der.h"

namespace kms::internal {

namespace {

struct Numbers {
  ByteView r;
  ByteView s;
};

// `reader` is left behind the sequence. Negative numbers are well-formed DER and never a signature.
Result<Numbers> TakeNumbers(DerReader& reader) {
  DerReader fields(KMS_TRY(reader.Take(DerTag::kSequence)));
  const ByteView r = KMS_TRY(fields.TakeInteger());
  const ByteView s = KMS_TRY(fields.TakeInteger());
  KMS_TRY(fields.Finish());
  return Numbers{r, s};
}

// Copies a non-negative INTEGER into the last bytes of `out`; the bytes before it stay zero.
bool LeftPad(ByteView number, MutableByteView out) {
  if (!number.empty() && number[0] == 0) {
    number = number.subspan(1);
  }
  if (number.size() > out.size()) {
    return false;
  }
  std::ranges::copy(number, out.last(number.size()).begin());
  return true;
}

}  // namespace

Result<Bytes> EcdsaDerToJws(AsymmetricAlgorithm algorithm, ByteView der) {
  const std::size_t field = EcdsaFieldBytes(algorithm);
  DerReader reader(der);
  const Result<Numbers> numbers = TakeNumbers(reader);
  Bytes jws(2 * field);
  const MutableByteView out(jws);
  if (!numbers.has_value() || !LeftPad(numbers->r, out.first(field)) ||
      !LeftPad(numbers->s, out.last(field))) {
    return Internal("an ECDSA signature of this process is malformed");
  }
  return jws;
}

std::optional<Bytes> EcdsaJwsToDer(AsymmetricAlgorithm algorithm, ByteView jws) {
  const std::size_t field = EcdsaFieldBytes(algorithm);
  if (jws.size() != 2 * field) {
    return std::nullopt;
  }
  const ByteView r = jws.first(field);
  const ByteView s = jws.last(field);
  const std::size_t content =
      DerElementBytes(DerUnsignedBytes(r)) + DerElementBytes(DerUnsignedBytes(s));
  Bytes der(DerElementBytes(content));
  DerWriter writer(der);
  writer.Head(DerTag::kSequence, content);
  writer.Unsigned(r);
  writer.Unsigned(s);
  return der;
}

Status CheckEcdsaDer(ByteView der) {
  DerReader reader(der);
  if (!TakeNumbers(reader).has_value()) {
    return InvalidArgument("supplied signature is invalid");
  }
  return reader.AtEnd() ? Ok() : Status(InvalidArgument("supplied signature contains extra data"));
}

}  // namespace kms::internal
