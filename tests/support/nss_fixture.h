// SPDX-License-Identifier: Apache-2.0
// NssToken: the softoken of NSS with a database of its own.
#pragma once

#include <string>

#include "tests/support/vendor_token.h"

namespace kms::testing {

inline constexpr const char* kNssModule = "/usr/lib/x86_64-linux-gnu/libsoftokn3.so";

class NssToken : public VendorToken {
 public:
  static bool IsInstalled() { return Installed({kNssModule, "/usr/bin/certutil"}); }

  NssToken() {
    const std::string database = "sql:" + directory_.path();
    WritePin(directory_.path() + "/pin");
    std::string output;
    ok_ = RunProgram({"/usr/bin/certutil", "-N", "-d", database, "-f", options_.pin.value},
                     &output) == 0;
    EXPECT_TRUE(ok_) << output;
    options_.module_path = kNssModule;
    options_.module_init =
        "configdir='" + database + "' certPrefix='' keyPrefix='' secmod='secmod.db' flags=";
    options_.token_label = "NSS Certificate DB";
  }

 private:
  TemporaryDirectory directory_;
};

}  // namespace kms::testing
