// SPDX-License-Identifier: Apache-2.0
// SoftHsmToken: a fresh SoftHSM token in a temporary directory, removed at the end.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "kms/base/secret_bytes.h"
#include "pkcs11/token_options.h"
#include "pkcs11/token_setup.h"
#include "tests/support/temporary_directory.h"

namespace kms::testing {

inline constexpr const char* kSoftHsmModule = "/usr/lib/softhsm/libsofthsm2.so";
inline constexpr const char* kTestPin = "87654321";
inline constexpr const char* kTestSoPin = "12345678";

inline bool SoftHsmIsInstalled() { return std::filesystem::exists(kSoftHsmModule); }

inline void WriteTestFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
  ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
}

// Directory layout: softhsm2.conf, tokens/, state/ (lock and backups), pin.
class SoftHsmToken {
 public:
  // Check ok() before use; `make_token` false leaves the token directory empty.
  explicit SoftHsmToken(const std::string& label = "kms-test", bool make_token = true) {
    options_.module_path = kSoftHsmModule;
    options_.token_label = label;
    options_.pin = {pkcs11::PinSource::Kind::kFile, directory_.path() + "/pin"};
    options_.softhsm_config = directory_.path() + "/softhsm2.conf";
    options_.softhsm_state_directory = directory_.path() + "/state";
    std::filesystem::create_directory(options_.softhsm_state_directory);
    WriteTestFile(options_.pin.value, std::string(kTestPin) + "\n");
    EXPECT_TRUE(pkcs11::WriteSoftHsmConfig(options_.softhsm_config, tokens()).has_value());
    if (make_token) MakeToken(label);
  }

  // Makes another token (or a second one of the same label under another configuration).
  void MakeToken(const std::string& label) {
    auto pin = SecretBytes::CopyOf(AsBytes(kTestPin));
    auto so_pin = SecretBytes::CopyOf(AsBytes(kTestSoPin));
    ASSERT_TRUE(pin.has_value() && so_pin.has_value());
    pkcs11::TokenOptions wanted = options_;
    wanted.token_label = label;
    const auto serial = pkcs11::CreateSoftHsmToken(wanted, *pin, *so_pin);
    ASSERT_TRUE(serial.has_value()) << Describe(serial.error());
    serial_ = *serial;
    ok_ = true;
  }

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] const std::string& directory() const { return directory_.path(); }
  [[nodiscard]] std::string tokens() const { return directory_.path() + "/tokens"; }
  [[nodiscard]] const std::string& serial() const { return serial_; }
  [[nodiscard]] const std::string& pin_file() const { return options_.pin.value; }
  // Options of a Token that binds it; the serial is left open.
  [[nodiscard]] pkcs11::TokenOptions options() const { return options_; }

 private:
  TemporaryDirectory directory_;
  pkcs11::TokenOptions options_;
  std::string serial_;
  bool ok_ = false;
};

}  // namespace kms::testing
