// SPDX-License-Identifier: Apache-2.0
// SwtpmToken: a TPM 2 in software behind tpm2-pkcs11, with a message bus and a resource manager of
// its own. Unix sockets only.
#pragma once

#include <memory>
#include <string>

#include "tests/support/vendor_token.h"

namespace kms::testing {

inline constexpr const char* kTpm2Module = "/usr/lib/x86_64-linux-gnu/libtpm2_pkcs11.so.1";

class SwtpmToken : public VendorToken {
 public:
  static bool IsInstalled() {
    return Installed({kTpm2Module, "/usr/bin/swtpm", "/usr/sbin/tpm2-abrmd", "/usr/bin/tpm2_ptool",
                      "/usr/bin/dbus-daemon",
                      "/usr/lib/x86_64-linux-gnu/libtss2-tcti-tabrmd.so.0"});
  }

  SwtpmToken() {
    const std::string& base = directory_.path();
    std::filesystem::create_directory(base + "/state");
    std::filesystem::create_directory(base + "/store");
    WritePin(base + "/pin");
    options_.module_path = kTpm2Module;
    options_.token_label = "kms-test";
    StartServers(base);
    const std::string program = "/usr/bin/tpm2_ptool";
    std::string output;
    ok_ = StartManager() && RunProgram({program, "init"}, &output) == 0 &&
          RunProgram({program, "addtoken", "--pid=1", std::string("--sopin=") + kTestSoPin,
                      std::string("--userpin=") + kTestPin, "--label=" + options_.token_label},
                     &output) == 0;
    EXPECT_TRUE(ok_) << output << ReadFile(base + "/manager.err");
  }
  ~SwtpmToken() override {
    manager_.reset();
    bus_.reset();
  }

 private:
  void StartServers(const std::string& base) {
    const std::string tpm = base + "/tpm.sock";
    const std::string bus = base + "/bus.sock";
    tpm_ = std::make_unique<HelperServer>(
        std::vector<std::string>{
            "/usr/bin/swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + base + "/state", "--ctrl",
            "type=unixio,path=" + tpm + ".ctrl", "--server", "type=unixio,path=" + tpm, "--flags",
            "not-need-init,startup-clear"},
        base + "/tpm");
    bus_ = std::make_unique<HelperServer>(
        std::vector<std::string>{"/usr/bin/dbus-daemon", "--session", "--nofork", "--nopidfile",
                                 "--address=unix:path=" + bus},
        base + "/bus");
    Export("DBUS_SESSION_BUS_ADDRESS", "unix:path=" + bus);
    Export("TPM2_PKCS11_TCTI", "tabrmd:bus_type=session");
    Export("TPM2_PKCS11_STORE", base + "/store");
    Export("TPM2TOOLS_TCTI", "tabrmd:bus_type=session");
    Export("TPM2_PKCS11_LOG_LEVEL", "0");
    Export("TSS2_LOG", "all+none");
    EXPECT_TRUE(Eventually([&] { return Installed({tpm, bus}); })) << "swtpm or dbus-daemon";
  }
  // On a busy machine the bus refuses the name to a manager that asks too early, which ends then.
  bool StartManager() {
    const std::string& base = directory_.path();
    constexpr int kTries = 5;
    for (int attempt = 0; attempt < kTries; ++attempt) {
      manager_.reset();
      manager_ = std::make_unique<HelperServer>(
          std::vector<std::string>{"/usr/sbin/tpm2-abrmd", "--session", "--allow-root",
                                   "--tcti=swtpm:path=" + base + "/tpm.sock"},
          base + "/manager");
      const bool answers = Eventually(
          [] {
            std::string output;
            return RunProgram({"/usr/bin/tpm2_getrandom", "--hex", "4"}, &output) == 0;
          },
          std::chrono::seconds(4));
      if (answers) return true;
    }
    return false;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<HelperServer> tpm_;
  std::unique_ptr<HelperServer> bus_;
  std::unique_ptr<HelperServer> manager_;
};

}  // namespace kms::testing
