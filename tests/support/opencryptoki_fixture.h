// SPDX-License-Identifier: Apache-2.0
// OpencryptokiToken: the software token of openCryptoki with its daemon. Its directories are fixed,
// so this thread and those it starts get namespaces of their own, which end with the process.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <charconv>
#include <string>

#include "tests/support/vendor_token.h"

namespace kms::testing {

inline constexpr const char* kOpencryptokiModule =
    "/usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so";

class OpencryptokiToken : public VendorToken {
 public:
  static bool IsInstalled() {
    if (!Installed({kOpencryptokiModule, "/usr/sbin/pkcsslotd", "/usr/sbin/pkcsconf",
                    "/usr/bin/unshare", "/etc/opencryptoki", "/var/lib/opencryptoki"})) {
      return false;
    }
    std::string output;  // containers without the right to do this
    return ::geteuid() == 0 &&
           RunProgram({"/usr/bin/unshare", "--mount", "--ipc", "/bin/true"}, &output) == 0;
  }

  OpencryptokiToken() {
    WritePin(directory_.path() + "/pin");
    options_.module_path = kOpencryptokiModule;
    options_.token_label = "kms-test";
    ok_ = MakeNamespaces() && StartDaemon() && MakeToken();
    EXPECT_TRUE(ok_) << output_;
  }
  ~OpencryptokiToken() override {
    const pid_t daemon = DaemonPid();
    if (daemon > 0) {
      ::kill(daemon, SIGTERM);
      Eventually([daemon] { return ::kill(daemon, 0) != 0; }, std::chrono::seconds(2));
    }
    if (!mounted_) return;
    for (const char* place : {"/run", "/var/lib/opencryptoki", "/etc/opencryptoki"}) {
      ::umount2(place, MNT_DETACH);
    }
  }

 private:
  static constexpr const char* kPidFile = "/run/pkcsslotd.pid";
  static constexpr const char* kLocks = "/run/lock/opencryptoki";

  bool MakeNamespaces() {
    const std::string& base = directory_.path();
    std::filesystem::create_directories(base + "/etc");
    std::filesystem::create_directories(base + "/var/swtok/TOK_OBJ");
    WriteFile(base + "/etc/opencryptoki.conf",
              "version opencryptoki-3.8\nslot 0\n{\nstdll = libpkcs11_sw.so\n}\n");
    if (::unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount((base + "/etc").c_str(), "/etc/opencryptoki", nullptr, MS_BIND, nullptr) != 0 ||
        ::mount((base + "/var").c_str(), "/var/lib/opencryptoki", nullptr, MS_BIND, nullptr) != 0 ||
        ::mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0) {
      output_ = "no namespaces";
      return false;
    }
    mounted_ = true;
    std::filesystem::create_directories(std::string(kLocks) + "/swtok");
    return RunProgram({"/bin/chgrp", "-R", "pkcs11", kLocks, base + "/var"}, &output_) == 0 &&
           RunProgram({"/bin/chmod", "-R", "770", kLocks, base + "/var"}, &output_) == 0;
  }
  bool StartDaemon() {
    return RunProgram({"/usr/sbin/pkcsslotd"}, &output_) == 0 &&
           Eventually([] { return DaemonPid() > 0 && Installed({"/run/pkcsslotd.socket"}); });
  }
  // The PINs that it is born with are replaced.
  bool MakeToken() {
    const std::string officer = kTestSoPin;
    const std::string commands =
        "set -e; echo " + options_.token_label + " | pkcsconf -I -c 0 -S 87654321; " +
        "pkcsconf -P -c 0 -S 87654321 -n " + officer + "; pkcsconf -u -c 0 -S " + officer +
        " -n 11111111; pkcsconf -p -c 0 -U 11111111 -n " + kTestPin;
    return RunProgram({"/bin/sh", "-c", commands}, &output_) == 0;
  }
  static pid_t DaemonPid() {
    if (!Installed({kPidFile})) return -1;
    const std::string text = ReadFile(kPidFile);
    pid_t pid = -1;
    std::from_chars(text.data(), text.data() + text.size(), pid);
    return pid;
  }

  TemporaryDirectory directory_;
  std::string output_;
  bool mounted_ = false;
};

}  // namespace kms::testing
