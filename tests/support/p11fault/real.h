// SPDX-License-Identifier: Apache-2.0
// The module behind the shim.
#pragma once

#include <p11-kit/pkcs11.h>

namespace p11fault {

// Loaded by the first call. Null when that failed, which is said on stderr.
CK_FUNCTION_LIST* Real();

}  // namespace p11fault
