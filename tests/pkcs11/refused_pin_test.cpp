// SPDX-License-Identifier: Apache-2.0
// One attempt per PIN value: what is remembered, for whom, and how an operator undoes it.
#include "pkcs11/refused_pin.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/matchers.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::pkcs11 {
namespace {

SecretBytes Pin(const std::string& text) { return SecretBytes::CopyOf(AsBytes(text)).value(); }

class RefusedPinTest : public ::testing::Test {
 protected:
  RefusedPinTest() {
    options_.module_path = "/usr/lib/module.so";
    options_.token_label = "token";
    options_.state_directory = directory_.path();
  }
  std::string Content(const std::string& path) const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  testing::TemporaryDirectory directory_;
  TokenOptions options_;
};

TEST_F(RefusedPinTest, H9_IsRememberedOverRestarts) {
  RefusedPin(options_).Remember(Pin("1234"), /*lasting=*/true);
  RefusedPin restarted(options_);
  EXPECT_TRUE(restarted.Matches(Pin("1234")));
  EXPECT_TRUE(restarted.Matches(Pin("1234")));
  EXPECT_FALSE(restarted.Matches(Pin("1235")));
  EXPECT_FALSE(restarted.Matches(Pin("12345")));
}

TEST_F(RefusedPinTest, H10_ALockedPinIsRememberedByThisProcessAlone) {
  RefusedPin pin(options_);
  pin.Remember(Pin("1234"), /*lasting=*/false);
  EXPECT_TRUE(pin.Matches(Pin("1234")));
  EXPECT_FALSE(RefusedPin(options_).Matches(Pin("1234"))) << "unlocked meanwhile, perhaps";
}

TEST_F(RefusedPinTest, RemovingTheFileAllowsOneMoreAttempt) {
  RefusedPin pin(options_);
  pin.Remember(Pin("1234"), /*lasting=*/true);
  EXPECT_TRUE(pin.Matches(Pin("1234")));
  EXPECT_TRUE(std::filesystem::remove(pin.file()));
  EXPECT_FALSE(pin.Matches(Pin("1234")));
  EXPECT_FALSE(RefusedPin(options_).Matches(Pin("1234")));
}

TEST_F(RefusedPinTest, AnAcceptedPinEndsTheMemory) {
  RefusedPin pin(options_);
  pin.Remember(Pin("1234"), /*lasting=*/true);
  pin.Forget();
  EXPECT_FALSE(pin.Matches(Pin("1234")));
  EXPECT_FALSE(std::filesystem::exists(pin.file()));
}

TEST_F(RefusedPinTest, TheLastRefusedPinCounts) {
  RefusedPin pin(options_);
  pin.Remember(Pin("1234"), /*lasting=*/true);
  pin.Remember(Pin("5678"), /*lasting=*/true);
  RefusedPin restarted(options_);
  EXPECT_TRUE(restarted.Matches(Pin("5678")));
  EXPECT_FALSE(restarted.Matches(Pin("1234")));
}

TEST_F(RefusedPinTest, TokensDoNotShareAMemory) {
  RefusedPin(options_).Remember(Pin("1234"), /*lasting=*/true);
  for (std::string TokenOptions::* const field :
       {&TokenOptions::module_path, &TokenOptions::module_init, &TokenOptions::token_label,
        &TokenOptions::token_serial}) {
    TokenOptions other = options_;
    other.*field += "x";
    EXPECT_FALSE(RefusedPin(other).Matches(Pin("1234")));
  }
}

TEST_F(RefusedPinTest, ADamagedFileRefusesEveryPinUntilItIsRemoved) {
  RefusedPin pin(options_);
  pin.Remember(Pin("1234"), /*lasting=*/true);
  const std::string whole = Content(pin.file());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::ofstream(pin.file(), std::ios::trunc) << whole.substr(0, size);
    EXPECT_TRUE(RefusedPin(options_).Matches(Pin("5678"))) << size;
  }
  std::ofstream(pin.file(), std::ios::trunc) << whole << "x";
  EXPECT_TRUE(RefusedPin(options_).Matches(Pin("5678")));
  std::ofstream(pin.file(), std::ios::trunc) << '\2' << whole.substr(1);
  EXPECT_TRUE(RefusedPin(options_).Matches(Pin("5678"))) << "of another version";
}

TEST_F(RefusedPinTest, TheFileIsItsOwnersAndHoldsNoPin) {
  RefusedPin pin(options_);
  pin.Remember(Pin("a-long-wrong-pin"), /*lasting=*/true);
  struct stat info{};
  ASSERT_EQ(::stat(pin.file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  EXPECT_EQ(Content(pin.file()).find("wrong"), std::string::npos);
  const std::string first = Content(pin.file());
  pin.Remember(Pin("a-long-wrong-pin"), /*lasting=*/true);
  EXPECT_NE(Content(pin.file()), first) << "salted";
}

// Made by Python's hashlib.scrypt.
TEST_F(RefusedPinTest, TheFirstVersionsFileIsReadForEver) {
  const RefusedPin pin(options_);
  const Bytes file = {0x01, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
                      0x0c, 0x0d, 0x0e, 0x0f, 0xda, 0x48, 0x27, 0xf2, 0x2a, 0xe7, 0x05, 0xfa, 0x62,
                      0x7a, 0x83, 0x63, 0x7b, 0x75, 0x5c, 0x29, 0x19, 0xa4, 0x5c, 0x1a, 0xe8, 0xf1,
                      0x94, 0xa7, 0x0e, 0xd7, 0xf4, 0xff, 0x5e, 0xed, 0xdd, 0x2b};
  std::ofstream(pin.file(), std::ios::binary)
      .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  EXPECT_TRUE(RefusedPin(options_).Matches(Pin("87654321")));
  EXPECT_FALSE(RefusedPin(options_).Matches(Pin("87654322")));
}

TEST_F(RefusedPinTest, TheStateDirectoryOfSoftHsmServesWhenThereIsNoOther) {
  options_.state_directory.clear();
  options_.softhsm_state_directory = directory_.path();
  RefusedPin(options_).Remember(Pin("1234"), /*lasting=*/true);
  EXPECT_TRUE(RefusedPin(options_).Matches(Pin("1234")));
}

TEST_F(RefusedPinTest, WithoutADirectoryThisProcessAloneRemembers) {
  for (const char* const directory : {"", "/nonexistent"}) {
    options_.state_directory = directory;
    RefusedPin pin(options_);
    EXPECT_FALSE(pin.Matches(Pin("1234")));
    pin.BeginAttempt();
    pin.EndAttempt();
    EXPECT_FALSE(pin.AttemptWasCut());
    pin.Remember(Pin("1234"), /*lasting=*/true);
    EXPECT_TRUE(pin.Matches(Pin("1234")));
    EXPECT_FALSE(RefusedPin(options_).Matches(Pin("1234")));
  }
}

TEST_F(RefusedPinTest, AnAttemptThatNeverCameBackIsSeenByTheNextProcess) {
  RefusedPin pin(options_);
  EXPECT_FALSE(pin.AttemptWasCut());
  pin.BeginAttempt();
  EXPECT_TRUE(RefusedPin(options_).AttemptWasCut());
  pin.EndAttempt();
  EXPECT_FALSE(RefusedPin(options_).AttemptWasCut());
}

}  // namespace
}  // namespace kms::pkcs11
