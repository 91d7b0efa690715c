// SPDX-License-Identifier: Apache-2.0
// The Cryptoki header and the few names that Debian's copy lacks.
#pragma once

#include <p11-kit/pkcs11.h>

#include <cstdint>

#include "kms/base/bytes.h"

namespace kms::pkcs11 {

// PKCS#11 3.0. 0x210A (CKM_AES_KEY_WRAP_PAD) is never used: its meaning differs between modules.
inline constexpr CK_MECHANISM_TYPE kMechanismAesKwp = 0x210B;
inline constexpr CK_MECHANISM_TYPE kMechanismAesKw = CKM_AES_KEY_WRAP;
inline constexpr CK_RV kRvAeadDecryptFailed = 0x42;
inline constexpr CK_ULONG kUnavailableInformation = ~CK_ULONG{0};

// The two layouts of CK_GCM_PARAMS met in the field, told apart by their size.
struct GcmParametersWithIvBits {
  CK_BYTE* iv;
  CK_ULONG iv_bytes;
  CK_ULONG iv_bits;
  CK_BYTE* aad;
  CK_ULONG aad_bytes;
  CK_ULONG tag_bits;
};
static_assert(sizeof(GcmParametersWithIvBits) == 48);
struct GcmParametersWithoutIvBits {
  CK_BYTE* iv;
  CK_ULONG iv_bytes;
  CK_BYTE* aad;
  CK_ULONG aad_bytes;
  CK_ULONG tag_bits;
};
static_assert(sizeof(GcmParametersWithoutIvBits) == 40);

// Cryptoki takes pointers to non-const for input it does not change.
inline CK_BYTE* CkIn(ByteView bytes) { return const_cast<CK_BYTE*>(bytes.data()); }

}  // namespace kms::pkcs11
