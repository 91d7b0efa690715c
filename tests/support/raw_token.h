// SPDX-License-Identifier: Apache-2.0
// A SoftHSM token past the service: what whoever has its PIN, or its files, could do to it.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kms/base/ids.h"
#include "kms/base/secret_bytes.h"
#include "pkcs11/attributes.h"
#include "pkcs11/master_key.h"
#include "pkcs11/module.h"
#include "pkcs11/session.h"
#include "tests/support/kmsd_process.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::testing {

// One login to the token of a directory that `kmsd dev` made (softhsm2.conf, tokens/, pin). One at
// a time in a process, since the library is of the whole process.
class RawToken {
 public:
  explicit RawToken(const std::string& directory) {
    ::setenv("SOFTHSM2_CONF", (directory + "/softhsm2.conf").c_str(), 1);
    auto module = pkcs11::Module::Load(kSoftHsmModule);
    const bool loaded = module.has_value() && (*module)->Initialize("").ok();
    EXPECT_TRUE(loaded);
    if (!loaded) return;
    module_ = std::move(*module);
    std::vector<pkcs11::TokenFacts> tokens;
    EXPECT_TRUE(module_->ListTokens(tokens).ok());
    for (const pkcs11::TokenFacts& token : tokens) {
      if (token.label.empty()) continue;  // the slot of the next token
      auto session = pkcs11::Session::Open(*module_, token.slot);
      EXPECT_TRUE(session.has_value());
      if (session.has_value()) session_.emplace(std::move(*session));
    }
    std::string pin = ReadFile(directory + "/pin");
    pin.erase(pin.find_last_not_of('\n') + 1);
    const auto secret = SecretBytes::CopyOf(AsBytes(pin));
    EXPECT_TRUE(session_ && secret.has_value() && session_->Login(CKU_USER, *secret).ok());
  }
  ~RawToken() {
    session_.reset();
    const bool finalised = module_ == nullptr || module_->Finalize().ok();
    EXPECT_TRUE(finalised);
  }
  RawToken(const RawToken&) = delete;
  RawToken& operator=(const RawToken&) = delete;

  // CKA_ID of the one secret key with that label.
  [[nodiscard]] Uuid IdOf(std::string_view label) {
    if (!session_) return {};
    const auto id = session_->ReadAttribute(Find(label), CKA_ID);
    EXPECT_TRUE(id.has_value());
    return id.has_value() ? Uuid::FromBytes(*id).value_or(Uuid{}) : Uuid{};
  }
  // Another key takes the place of that one: with the same label, id and attributes.
  void Replace(std::string_view label) {
    const Uuid id = IdOf(label);
    if (!session_) return;
    EXPECT_TRUE(session_->DestroyObject(Find(label)).has_value());
    Add(label, id);
  }
  // A master key with the attributes of ours.
  void Add(std::string_view label, const Uuid& id) {
    const auto made =
        pkcs11::GenerateMasterKeyObject(*session_, {.id = id, .label = std::string(label)},
                                        pkcs11::ExtraAttributes::kUnmodifiableAndOneMechanism);
    EXPECT_TRUE(made.has_value());
  }

 private:
  [[nodiscard]] CK_OBJECT_HANDLE Find(std::string_view label) {
    pkcs11::AttributeList wanted;
    wanted.Number(CKA_CLASS, CKO_SECRET_KEY).Data(CKA_LABEL, AsBytes(label));
    const auto found = session_->Find(wanted.span());
    EXPECT_TRUE(found.has_value() && found->size() == 1) << label;
    return found.has_value() && !found->empty() ? found->front() : CK_INVALID_HANDLE;
  }

  std::unique_ptr<pkcs11::Module> module_;
  std::optional<pkcs11::Session> session_;
};

// Sets a boolean attribute of every AES key in the files below `tokens`: the key stays what it is.
// SoftHSM's object file: 8 bytes that count its changes, then of each attribute 8 bytes of type,
// 8 bytes of kind (1: boolean, 2: number) and the value; numbers are big-endian. Returns how many
// keys were changed.
inline int SetFlagOfKeys(const std::string& tokens, CK_ATTRIBUTE_TYPE type, bool value) {
  const auto field = [](CK_ULONG number, char kind) {
    std::string bytes(16, '\0');
    for (std::size_t at = 0; at < 8; ++at) {
      bytes[7 - at] = static_cast<char>(number >> (8 * at));
    }
    bytes[15] = kind;
    return bytes;
  };
  const auto number = [&field](CK_ULONG of) { return field(of, 0).substr(0, 8); };
  const std::string is_aes = field(CKA_KEY_TYPE, 2) + number(CKK_AES);
  const std::string is_secret = field(CKA_CLASS, 2) + number(CKO_SECRET_KEY);
  int changed = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(tokens)) {
    if (entry.path().extension() != ".object") continue;
    std::string bytes = ReadFile(entry.path().string());
    const std::size_t found = bytes.find(field(type, 1));
    if (bytes.find(is_aes) == std::string::npos || bytes.find(is_secret) == std::string::npos ||
        found == std::string::npos) {
      continue;
    }
    bytes[found + 16] = value ? '\xff' : '\0';
    ++bytes[7];
    const std::string draft = entry.path().string() + ".draft";
    WriteFile(draft, bytes);
    std::filesystem::rename(draft, entry.path());
    ++changed;
  }
  return changed;
}

}  // namespace kms::testing
