// SPDX-License-Identifier: Apache-2.0
// Tokens that choose the IVs of AES-GCM themselves (`iv=overwrite`, `iv=append`).
//
// Thread rule: any thread.
#pragma once

#include <p11-kit/pkcs11.h>

#include <vector>

#include "tests/support/p11fault/rules.h"

namespace p11fault {

CK_RV EncryptInit(const std::vector<Rule>& rules, CK_SESSION_HANDLE session,
                  CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key);
CK_RV Encrypt(CK_SESSION_HANDLE session, CK_BYTE* data, CK_ULONG data_bytes, CK_BYTE* out,
              CK_ULONG* out_bytes);

}  // namespace p11fault
