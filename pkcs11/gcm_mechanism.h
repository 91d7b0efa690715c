// SPDX-License-Identifier: Apache-2.0
// GcmMechanism: the AES-GCM parameter in the layout that a module wants, with a 16-byte tag.
#pragma once

#include "kms/base/bytes.h"
#include "kms/master/wrapped_key.h"
#include "pkcs11/cryptoki.h"

namespace kms::pkcs11 {

// `nonce` and `aad` must outlive it. Some modules write into `nonce`, and a longer one than ours.
class GcmMechanism {
 public:
  GcmMechanism(GcmParameterLayout layout, MutableByteView nonce, ByteView aad) {
    constexpr CK_ULONG kTagBits = 128;
    CK_BYTE* const aad_pointer = aad.empty() ? nullptr : CkIn(aad);
    with_ = {nonce.data(), nonce.size(), nonce.size() * 8, aad_pointer, aad.size(), kTagBits};
    without_ = {nonce.data(), nonce.size(), aad_pointer, aad.size(), kTagBits};
    if (layout == GcmParameterLayout::kWithIvBits) {
      mechanism_ = {CKM_AES_GCM, &with_, sizeof(with_)};
    } else {
      mechanism_ = {CKM_AES_GCM, &without_, sizeof(without_)};
    }
  }
  GcmMechanism(const GcmMechanism&) = delete;
  GcmMechanism& operator=(const GcmMechanism&) = delete;
  CK_MECHANISM& get() { return mechanism_; }

 private:
  GcmParametersWithIvBits with_{};
  GcmParametersWithoutIvBits without_{};
  CK_MECHANISM mechanism_{};
};

}  // namespace kms::pkcs11
