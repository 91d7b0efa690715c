// SPDX-License-Identifier: Apache-2.0
// P11KitToken: a network HSM, played by p11-kit's server in front of SoftHSM. Its protocol hides
// AES, and its server's death is as that of a network HSM.
#pragma once

#include <memory>
#include <string>

#include "tests/support/vendor_token.h"

namespace kms::testing {

inline constexpr const char* kP11KitClient = "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so";

class P11KitToken : public VendorToken {
 public:
  static bool IsInstalled() {
    return SoftHsmIsInstalled() && Installed({kP11KitClient, "/usr/bin/p11-kit"});
  }

  P11KitToken() {
    options_.module_path = kP11KitClient;
    options_.token_label = behind_.options().token_label;
    options_.pin = behind_.options().pin;
    Export("P11_KIT_SERVER_ADDRESS", "unix:path=" + socket_);
    StartServer();
  }

  // The server reads its settings anew; clients see a device error until they initialise again.
  void StartServer() {
    server_.reset();
    std::filesystem::remove(socket_);
    ::setenv("SOFTHSM2_CONF", behind_.options().softhsm_config.c_str(), 1);
    server_ = std::make_unique<HelperServer>(
        std::vector<std::string>{"/usr/bin/p11-kit", "server", "-f", "-n", socket_, "--provider",
                                 kSoftHsmModule, "pkcs11:"},
        behind_.directory() + "/p11-kit");
    ok_ = behind_.ok() && Eventually([this] { return std::filesystem::exists(socket_); });
    EXPECT_TRUE(ok_) << "p11-kit server does not start";
  }
  void StopServer() { server_.reset(); }
  [[nodiscard]] pid_t server_pid() const { return server_->pid(); }

 private:
  SoftHsmToken behind_;
  const std::string socket_ = behind_.directory() + "/p11-kit.sock";
  std::unique_ptr<HelperServer> server_;
};

}  // namespace kms::testing
