// SPDX-License-Identifier: Apache-2.0
// PIN sources and modules: what is refused, and what is left behind.
#include "pkcs11/pin.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "pkcs11/module.h"
#include "tests/support/matchers.h"
#include "tests/support/softhsm_fixture.h"

namespace kms::pkcs11 {
namespace {

using ::kms::testing::HasError;
using ::kms::testing::IsOk;
using ::kms::testing::TemporaryDirectory;
using ::kms::testing::WriteTestFile;
using ::testing::HasSubstr;
using Kind = PinSource::Kind;

class Pin : public ::testing::Test {
 protected:
  std::string File(const std::string& content, mode_t mode = S_IRUSR | S_IWUSR) {
    const std::string path = directory_.path() + "/pin";
    WriteTestFile(path, content);
    ::chmod(path.c_str(), mode);
    return path;
  }
  static std::string TextOf(const Result<SecretBytes>& pin) {
    return pin.has_value() ? std::string(AsText(pin->View())) : Describe(pin.error());
  }
  TemporaryDirectory directory_;
};

TEST_F(Pin, LosesOneLineEndAndNothingElse) {
  EXPECT_EQ(TextOf(ReadPin({Kind::kFile, File("1234")})), "1234");
  EXPECT_EQ(TextOf(ReadPin({Kind::kFile, File("1234\n")})), "1234");
  EXPECT_EQ(TextOf(ReadPin({Kind::kFile, File("1234\r\n")})), "1234");
  EXPECT_EQ(TextOf(ReadPin({Kind::kFile, File("1234\n\n")})), "1234\n");
  EXPECT_EQ(TextOf(ReadPin({Kind::kFile, File(" 12 ")})), " 12 ");
}

TEST_F(Pin, RefusesAFileThatOthersMayRead) {
  for (const mode_t mode : {0640U, 0604U, 0620U, 0601U}) {
    EXPECT_THAT(ReadPin({Kind::kFile, File("1234", mode)}),
                HasError(ErrorCode::kFailedPrecondition, HasSubstr("chmod 600")));
  }
}

TEST_F(Pin, RefusesWhatIsNoPin) {
  EXPECT_THAT(ReadPin({Kind::kFile, File("")}), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(ReadPin({Kind::kFile, File("\n")}), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(ReadPin({Kind::kFile, File(std::string("12\0", 3) + "34")}),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("NUL")));
  EXPECT_THAT(ReadPin({Kind::kFile, File(std::string(256, '1'))}),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(ReadPin({Kind::kFile, File(std::string(255, '1') + "\n")}), IsOk());
  EXPECT_THAT(ReadPin({Kind::kFile, directory_.path()}),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(ReadPin({Kind::kFile, directory_.path() + "/none"}),
              HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(Pin, OfTheEnvironmentIsReadOnceAndUnset) {
  ::setenv("KMS_TEST_PIN", "1234", 1);
  PinReader reader({Kind::kEnvironment, "KMS_TEST_PIN"});
  EXPECT_EQ(TextOf(reader.Read()), "1234");
  EXPECT_EQ(std::getenv("KMS_TEST_PIN"), nullptr);
  EXPECT_EQ(TextOf(reader.Read()), "1234") << "kept for the next login";
  EXPECT_THAT(ReadPin({Kind::kEnvironment, "KMS_TEST_PIN"}),
              HasError(ErrorCode::kFailedPrecondition));
}

TEST_F(Pin, OfADescriptorIsReadToItsEndAndClosed) {
  const int fd = ::open(File("1234\n").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  PinReader reader({Kind::kDescriptor, std::to_string(fd)});
  EXPECT_EQ(TextOf(reader.Read()), "1234");
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
  EXPECT_EQ(TextOf(reader.Read()), "1234");
}

TEST_F(Pin, RefusesImpossibleDescriptors) {
  for (const char* const number : {"", "-1", "x", "3x", "99999999999"}) {
    EXPECT_THAT(ReadPin({Kind::kDescriptor, number}), HasError(ErrorCode::kFailedPrecondition));
  }
}

TEST_F(Pin, OfACredentialIsBelowItsDirectory) {
  File("1234\n");
  ::setenv("CREDENTIALS_DIRECTORY", directory_.path().c_str(), 1);
  EXPECT_EQ(TextOf(ReadPin({Kind::kSystemdCredential, "pin"})), "1234");
  EXPECT_THAT(ReadPin({Kind::kSystemdCredential, "../pin"}),
              HasError(ErrorCode::kFailedPrecondition));
  ::unsetenv("CREDENTIALS_DIRECTORY");
  EXPECT_THAT(ReadPin({Kind::kSystemdCredential, "pin"}),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("LoadCredential")));
}

TEST_F(Pin, OfAFileIsReadAnewEachTime) {
  PinReader reader({Kind::kFile, File("1111")});
  EXPECT_EQ(TextOf(reader.Read()), "1111");
  File("2222");
  EXPECT_EQ(TextOf(reader.Read()), "2222");
}

TEST_F(Pin, ModuleRefusesWhatItMustNotLoad) {
  const std::string path = directory_.path() + "/module.so";
  const std::string spy = directory_.path() + "/pkcs11-spy.so";
  std::error_code error;
  std::filesystem::copy_file(::kms::testing::kSoftHsmModule, path, error);
  if (error) GTEST_SKIP() << "SoftHSM is not installed";
  std::filesystem::create_symlink(path, spy);
  EXPECT_THAT(Module::Load(spy), HasError(ErrorCode::kFailedPrecondition, HasSubstr("spy")));
  EXPECT_THAT(Module::Load("module.so"),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("absolute")));
  EXPECT_THAT(Module::Load(path + "x"),
              HasError(ErrorCode::kFailedPrecondition, HasSubstr("missing")));
  EXPECT_THAT(Module::Load(directory_.path()), HasError(ErrorCode::kFailedPrecondition));
  EXPECT_THAT(Module::Load(File("no library")), HasError(ErrorCode::kFailedPrecondition));
  for (const mode_t mode : {0775U, 0757U}) {
    ::chmod(path.c_str(), mode);
    EXPECT_THAT(Module::Load(path),
                HasError(ErrorCode::kFailedPrecondition, HasSubstr("chmod go-w")));
  }
  ::chmod(path.c_str(), 0755);
  EXPECT_THAT(Module::Load(path), IsOk());
}

}  // namespace
}  // namespace kms::pkcs11
