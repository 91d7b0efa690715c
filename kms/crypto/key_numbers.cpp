// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/key_numbers.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <memory>
#include <string>

#include "kms/crypto/key_der.h"
#include "kms/crypto/key_import.h"

namespace kms {

namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Number = std::unique_ptr<BIGNUM, Deleter<BN_clear_free>>;
using NumberContext = std::unique_ptr<BN_CTX, Deleter<BN_CTX_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;

// More than any number of RSA-4096 has.
constexpr std::size_t kMostDigits = 1300;

Error NumbersFailed(const char* step) {
  ERR_clear_error();
  return Internal(std::string("key numbers: ") + step);
}

Result<SecretBytes> ReadNumber(const AsymmetricKey& key, const char* name) {
  BIGNUM* read = nullptr;
  if (EVP_PKEY_get_bn_param(key.native(), name, &read) != 1) {
    return NumbersFailed(name);
  }
  const Number number(read);
  char* const digits = BN_bn2dec(number.get());
  if (digits == nullptr) {
    return NumbersFailed(name);
  }
  const std::string_view text = digits;
  Result<SecretBytes> copy = SecretBytes::CopyOf(AsBytes(text));
  OPENSSL_clear_free(digits, text.size());
  return copy;
}

Result<Number> ParseNumber(std::string_view digits) {
  const bool plain = !digits.empty() && digits.size() <= kMostDigits &&
                     std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  if (!plain) {
    return InvalidArgument("a key's number is not a positive integer");
  }
  SecretBytes terminated = KMS_TRY(SecretBytes::OfSize(digits.size() + 1));
  std::ranges::copy(AsBytes(digits), terminated.MutableView().begin());
  Number number(BN_secure_new());
  BIGNUM* raw = number.get();
  if (raw == nullptr ||
      BN_dec2bn(&raw, reinterpret_cast<const char*>(terminated.View().data())) == 0) {
    return NumbersFailed("digits");
  }
  return number;
}

// A key from what was pushed, proven sound by the strict import.
Result<AsymmetricKey> Build(AsymmetricAlgorithm algorithm, OSSL_PARAM_BLD* builder,
                            bool has_private) {
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(
      EVP_PKEY_CTX_new_from_name(nullptr, internal::EvpTypeName(algorithm), nullptr));
  EVP_PKEY* made = nullptr;
  const int selection = has_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
  if (parameters == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, selection, parameters.get()) != 1) {
    ERR_clear_error();
    return InvalidArgument("error importing key: error parsing asymmetric key: the numbers are no "
                           "key");
  }
  const AsymmetricKey key =
      KMS_TRY(AsymmetricKey::Adopt(algorithm, internal::EvpKey(made), has_private));
  if (!has_private) {
    const Bytes spki = KMS_TRY(key.PublicKey());
    return ImportPublicKeyDer(algorithm, spki);
  }
  const SecretBytes pkcs8 = KMS_TRY(key.ToPkcs8());
  return ImportPrivateKey(algorithm, pkcs8.View());
}

// x and y as the uncompressed point of SEC 1, 2.3.3.
Result<Bytes> EncodePoint(AsymmetricAlgorithm algorithm, const EcKeyDigits& digits) {
  const std::size_t field = EcdsaFieldBytes(algorithm);
  const Number x = KMS_TRY(ParseNumber(digits.x));
  const Number y = KMS_TRY(ParseNumber(digits.y));
  Bytes point(1 + 2 * field);
  point[0] = 4;
  const int width = static_cast<int>(field);
  if (BN_bn2binpad(x.get(), point.data() + 1, width) != width ||
      BN_bn2binpad(y.get(), point.data() + 1 + field, width) != width) {
    ERR_clear_error();
    return InvalidArgument("error importing key: error parsing asymmetric key: the point is not on "
                           "the curve");
  }
  return point;
}

struct RsaPrivateNumbers {
  Number d, p, q, d_mod_p, d_mod_q, q_inverse;
};

Result<RsaPrivateNumbers> CompleteRsa(const RsaKeyDigits& digits) {
  RsaPrivateNumbers all;
  all.d = KMS_TRY(ParseNumber(digits.d));
  all.p = KMS_TRY(ParseNumber(digits.p));
  all.q = KMS_TRY(ParseNumber(digits.q));
  all.d_mod_p.reset(BN_secure_new());
  all.d_mod_q.reset(BN_secure_new());
  all.q_inverse.reset(BN_secure_new());
  const Number less_one(BN_secure_new());
  const NumberContext context(BN_CTX_secure_new());
  if (all.d_mod_p == nullptr || all.d_mod_q == nullptr || all.q_inverse == nullptr ||
      less_one == nullptr || context == nullptr) {
    return NumbersFailed("memory");
  }
  BN_set_flags(all.d.get(), BN_FLG_CONSTTIME);
  BN_set_flags(all.p.get(), BN_FLG_CONSTTIME);
  BN_set_flags(all.q.get(), BN_FLG_CONSTTIME);
  const bool computed =
      BN_sub(less_one.get(), all.p.get(), BN_value_one()) == 1 &&
      BN_mod(all.d_mod_p.get(), all.d.get(), less_one.get(), context.get()) == 1 &&
      BN_sub(less_one.get(), all.q.get(), BN_value_one()) == 1 &&
      BN_mod(all.d_mod_q.get(), all.d.get(), less_one.get(), context.get()) == 1 &&
      BN_mod_inverse(all.q_inverse.get(), all.q.get(), all.p.get(), context.get()) != nullptr;
  if (!computed) {
    ERR_clear_error();
    return InvalidArgument("error importing key: error parsing asymmetric key: the factors are no "
                           "primes");
  }
  return all;
}

// What is longer than the modulus has no place in a PKCS #8 structure of this size.
Status CheckBelowModulus(const RsaPrivateNumbers& numbers, const Number& e, const Number& n) {
  for (const Number* number : {&e, &numbers.d, &numbers.p, &numbers.q}) {
    if (BN_cmp(number->get(), n.get()) >= 0) {
      return InvalidArgument("error importing key: error parsing asymmetric key: a number is not "
                             "below the modulus");
    }
  }
  return Ok();
}

bool Push(OSSL_PARAM_BLD* builder, const char* name, const Number& number) {
  return OSSL_PARAM_BLD_push_BN(builder, name, number.get()) == 1;
}

bool PushPrivate(OSSL_PARAM_BLD* builder, const RsaPrivateNumbers& numbers) {
  return Push(builder, OSSL_PKEY_PARAM_RSA_D, numbers.d) &&
         Push(builder, OSSL_PKEY_PARAM_RSA_FACTOR1, numbers.p) &&
         Push(builder, OSSL_PKEY_PARAM_RSA_FACTOR2, numbers.q) &&
         Push(builder, OSSL_PKEY_PARAM_RSA_EXPONENT1, numbers.d_mod_p) &&
         Push(builder, OSSL_PKEY_PARAM_RSA_EXPONENT2, numbers.d_mod_q) &&
         Push(builder, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, numbers.q_inverse);
}

}  // namespace

Result<EcKeyNumbers> EcNumbersOf(const AsymmetricKey& key) {
  if (!IsEcdsa(key.algorithm())) {
    return InvalidArgument("this is no EC key");
  }
  EcKeyNumbers numbers;
  numbers.x = KMS_TRY(ReadNumber(key, OSSL_PKEY_PARAM_EC_PUB_X));
  numbers.y = KMS_TRY(ReadNumber(key, OSSL_PKEY_PARAM_EC_PUB_Y));
  if (key.has_private()) {
    numbers.d = KMS_TRY(ReadNumber(key, OSSL_PKEY_PARAM_PRIV_KEY));
  }
  return numbers;
}

Result<RsaKeyNumbers> RsaNumbersOf(const AsymmetricKey& key) {
  if (!IsRsa(key.algorithm())) {
    return InvalidArgument("this is no RSA key");
  }
  RsaKeyNumbers numbers;
  numbers.n = KMS_TRY(ReadNumber(key, OSSL_PKEY_PARAM_RSA_N));
  numbers.e = KMS_TRY(ReadNumber(key, OSSL_PKEY_PARAM_RSA_E));
  if (!key.has_private()) {
    return numbers;
  }
  numbers.d = KMS_TRY(ReadNumber(key, OSSL_PKEY_PARAM_RSA_D));
  numbers.p = KMS_TRY(ReadNumber(key, OSSL_PKEY_PARAM_RSA_FACTOR1));
  numbers.q = KMS_TRY(ReadNumber(key, OSSL_PKEY_PARAM_RSA_FACTOR2));
  numbers.d_mod_p = KMS_TRY(ReadNumber(key, OSSL_PKEY_PARAM_RSA_EXPONENT1));
  numbers.d_mod_q = KMS_TRY(ReadNumber(key, OSSL_PKEY_PARAM_RSA_EXPONENT2));
  numbers.q_inverse = KMS_TRY(ReadNumber(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1));
  return numbers;
}

Result<AsymmetricKey> KeyOfNumbers(AsymmetricAlgorithm algorithm, const EcKeyDigits& digits) {
  if (!IsEcdsa(algorithm)) {
    return InvalidArgument("these are the numbers of another key type");
  }
  const Bytes point = KMS_TRY(EncodePoint(algorithm, digits));
  const Number scalar = KMS_TRY(ParseNumber(digits.d.value_or("0")));
  const Builder builder(OSSL_PARAM_BLD_new());
  const char* const group = internal::EvpGroupName(algorithm);
  if (builder == nullptr ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1 ||
      (digits.d && !Push(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, scalar))) {
    return NumbersFailed("EC");
  }
  return Build(algorithm, builder.get(), digits.d.has_value());
}

Result<AsymmetricKey> KeyOfNumbers(AsymmetricAlgorithm algorithm, const RsaKeyDigits& digits) {
  if (!IsRsa(algorithm)) {
    return InvalidArgument("these are the numbers of another key type");
  }
  const Number n = KMS_TRY(ParseNumber(digits.n));
  const Number e = KMS_TRY(ParseNumber(digits.e));
  const Builder builder(OSSL_PARAM_BLD_new());
  if (builder == nullptr || !Push(builder.get(), OSSL_PKEY_PARAM_RSA_N, n) ||
      !Push(builder.get(), OSSL_PKEY_PARAM_RSA_E, e)) {
    return NumbersFailed("RSA");
  }
  const bool has_private = !digits.d.empty() || !digits.p.empty() || !digits.q.empty();
  if (!has_private) {
    return Build(algorithm, builder.get(), false);
  }
  const RsaPrivateNumbers numbers = KMS_TRY(CompleteRsa(digits));
  KMS_TRY(CheckBelowModulus(numbers, e, n));
  if (!PushPrivate(builder.get(), numbers)) {
    return NumbersFailed("RSA");
  }
  return Build(algorithm, builder.get(), true);
}

}  // namespace kms
