// SPDX-License-Identifier: Apache-2.0
// Decrypts what was just encrypted and compares, so that a fault of memory, processor or library
// never reaches a caller who would delete the plaintext (the option verify_encrypt).
#pragma once

#include <string_view>

#include "kms/base/bytes.h"
#include "kms/base/result.h"
#include "kms/keys/key.h"
#include "kms/operations/message_cipher.h"

namespace kms {

// Whether what the version encrypts can be decrypted here. Errors: kInvalidArgument for an RSA
// version of which only the public half is known.
Status CheckVerifiable(const Key& key, KeyVersionNumber version);

// Decrypts `ciphertext`, the text that the caller would get, and compares with `plaintext` in
// constant time. Errors: kInternal, whatever went wrong. Any thread.
Status VerifyEncryption(const Key& key, std::string_view ciphertext, const MessageBinding& binding,
                        ByteView plaintext);

}  // namespace kms
