// SPDX-License-Identifier: Apache-2.0
// The qualification report: every module of the vendor table is described as its row says, and
// every lie, crash and hang of a bad one is named right.
#include "pkcs11/qualification.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "pkcs11/qualification_report.h"
#include "pkcs11/token_lock.h"
#include "tests/pkcs11/vendor_table.h"
#include "tests/support/faulty_module.h"

namespace kms::pkcs11 {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FaultyModule;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::SoftHsmToken;
using testing::Vendor;
using testing::VendorTable;
using testing::VendorToken;
using Json = nlohmann::json;

QualificationLauncher Launcher(const std::vector<std::string>& environment = {}) {
  return [environment](const SecretBytes& pin) {
    return SpawnWorker({.program = KMS_BINARY_DIR "/test_hsm_worker",
                        .arguments = {"hsm-qualify"},
                        .environment = environment,
                        .pin = &pin});
  };
}

QualificationOptions QuickOptions(const TokenOptions& token) {
  QualificationOptions options;
  options.token = token;
  options.pin_reference = "file:" + token.pin.value;
  options.threads = {1, 2};
  options.duration = std::chrono::milliseconds(120);
  options.step_limit = std::chrono::seconds(60);
  return options;
}

Json Qualify(const QualificationOptions& options,
             const std::vector<std::string>& environment = {}) {
  const auto report = QualifyToken(options, Launcher(environment), [](const std::string&) {});
  EXPECT_THAT(report, testing::IsOk());
  if (!report.has_value()) return {};
  EXPECT_THAT(QualificationText(options, *report),
              HasSubstr(JudgeQualification(*report).usable ? "USABLE. The" : "NOT USABLE:"));
  return Json::parse(QualificationJson(options, *report));
}

std::vector<std::string> Texts(const Json& json) { return json.get<std::vector<std::string>>(); }

// "result text" of a finding.
std::string FindingOf(const Json& json, const std::string& section, const std::string& name) {
  for (const Json& finding : json.at("findings")) {
    if (finding.at("section") == section && finding.at("name") == name) {
      return finding.at("result").get<std::string>() + " " + finding.at("text").get<std::string>();
    }
  }
  return {};
}

// ---- every module of the table -----------------------------------------------------------------

class QualificationOf : public ::testing::TestWithParam<const Vendor*> {};

std::vector<const Vendor*> InstalledVendors() {
  std::vector<const Vendor*> vendors;
  for (const Vendor& vendor : VendorTable()) {
    if (vendor.installed()) vendors.push_back(&vendor);
  }
  return vendors;
}

TEST_P(QualificationOf, IsWhatItsRowSays) {
  const Vendor& vendor = *GetParam();
  const std::shared_ptr<VendorToken> token = vendor.make();
  ASSERT_TRUE(token->ok());
  const Json json = Qualify(QuickOptions(token->options()), token->environment());
  EXPECT_TRUE(json.at("complete").get<bool>());
  EXPECT_TRUE(json.at("verdict").at("usable").get<bool>()) << json.at("verdict").dump(2);
  EXPECT_THAT(Texts(json.at("verdict").at("reasons")), IsEmpty());
  EXPECT_EQ(json.at("mechanisms").at("best"), vendor.best);
  EXPECT_EQ(Texts(json.at("mechanisms").at("proven")), vendor.proven);
  EXPECT_EQ(json.at("errors").at("damaged"), vendor.damaged_input);
  EXPECT_EQ(json.at("errors").at("session_after"), vendor.session_after_damage ? "usable" : "lost");
  EXPECT_EQ(json.at("attributes").at("modifiable"), vendor.modifiable);
  EXPECT_EQ(json.at("attributes").at("allowed_mechanisms"), vendor.allowed_mechanisms);
  EXPECT_EQ(json.at("attributes").at("same_id"), vendor.same_id);
  EXPECT_EQ(json.at("signing").get<bool>(), vendor.traits.signs);
  EXPECT_EQ(Texts(json.at("resident_keys")), vendor.resident_keys);
  EXPECT_THAT(FindingOf(json, "connection", "cleaned up"), HasSubstr("ok "));
  EXPECT_FALSE(json.at("performance").empty());
}

TEST_P(QualificationOf, LeavesNothingInTheToken) {
  const Vendor& vendor = *GetParam();
  const std::shared_ptr<VendorToken> token = vendor.make();
  ASSERT_TRUE(token->ok());
  QualificationOptions options = QuickOptions(token->options());
  options.skip = {"resident keys", "performance"};
  Qualify(options, token->environment());
  const Json again = Qualify(options, token->environment());
  EXPECT_EQ(FindingOf(again, "connection", "leftovers"), "");
}

INSTANTIATE_TEST_SUITE_P(Each, QualificationOf, ::testing::ValuesIn(InstalledVendors()),
                         [](const auto& tested) { return tested.param->name; });

// ---- bad modules -------------------------------------------------------------------------------

class QualificationOfFaulty : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::SoftHsmIsInstalled()) GTEST_SKIP() << "SoftHSM is not installed";
    token_ = std::make_unique<SoftHsmToken>();
    ASSERT_TRUE(token_->ok());
    module_ = std::make_unique<FaultyModule>(token_->directory(), testing::kSoftHsmModule);
  }

  QualificationOptions Options() const {
    TokenOptions token = token_->options();
    token.module_path = module_->path();
    QualificationOptions options = QuickOptions(token);
    options.skip = {"resident keys"};  // takes seconds of making RSA keys
    return options;
  }
  Json QualifyWith(const std::string& rules) {
    module_->SetRules(rules);
    return Qualify(Options());
  }
  static bool IsUsable(const Json& json) { return json.at("verdict").at("usable").get<bool>(); }

  std::unique_ptr<SoftHsmToken> token_;
  std::unique_ptr<FaultyModule> module_;
};

TEST_F(QualificationOfFaulty, ShimThatDoesNothingIsUsableAndConfiguredByTheReport) {
  const Json json = QualifyWith("");
  ASSERT_TRUE(IsUsable(json)) << json.at("verdict").dump(2);
  const Json& hsm = json.at("verdict").at("hsm");
  EXPECT_EQ(hsm.at("module"), module_->path());
  EXPECT_EQ(hsm.at("token_label"), token_->options().token_label);
  EXPECT_EQ(hsm.at("token_serial"), token_->serial());
  EXPECT_EQ(hsm.at("pin"), "file:" + token_->pin_file());
  EXPECT_EQ(hsm.at("mechanism"), "gcm-encrypt");
  EXPECT_GE(hsm.at("sessions").get<int>(), 2);
  EXPECT_FALSE(hsm.contains("network"));
}

TEST_F(QualificationOfFaulty, NonceThatTheTokenReplacesIsNamed) {
  const Json json = QualifyWith("C_EncryptInit iv=overwrite");
  EXPECT_TRUE(IsUsable(json)) << json.at("verdict").dump(2);
  EXPECT_EQ(json.at("gcm").at("nonce"), "replaced");
  EXPECT_THAT(FindingOf(json, "mechanisms", "gcm-encrypt"), HasSubstr("replaces our nonce"));
}

TEST_F(QualificationOfFaulty, NonceThatTheTokenAppendsIsNamed) {
  const Json json = QualifyWith("C_EncryptInit iv=append");
  EXPECT_TRUE(IsUsable(json)) << json.at("verdict").dump(2);
  EXPECT_EQ(json.at("gcm").at("nonce"), "appended");
  EXPECT_THAT(FindingOf(json, "mechanisms", "gcm-encrypt"), HasSubstr("appends a nonce"));
}

TEST_F(QualificationOfFaulty, H21_MechanismThatIsListedAndDoesNotWorkIsALie) {
  const Json json = QualifyWith("C_EncryptInit return=0x70");
  EXPECT_TRUE(IsUsable(json)) << json.at("verdict").dump(2);
  EXPECT_EQ(json.at("mechanisms").at("best"), "kw-wrap");
  EXPECT_THAT(Texts(json.at("mechanisms").at("lies")), Contains("gcm-encrypt"));
  EXPECT_THAT(FindingOf(json, "mechanisms", "gcm-encrypt"),
              AllOf(HasSubstr("listed, but fails"), HasSubstr("CKR_MECHANISM_INVALID")));
}

TEST_F(QualificationOfFaulty, CiphertextOfADeafEncryptionIsNotTakenForOne) {
  const Json json = QualifyWith("C_Encrypt constant");
  EXPECT_THAT(Texts(json.at("mechanisms").at("proven")), Not(Contains("gcm-encrypt")));
}

TEST_F(QualificationOfFaulty, H21_NoMechanismLeftIsAReasonNotToUseIt) {
  const Json json =
      QualifyWith("C_EncryptInit return=0x70\nC_DecryptInit return=0x70\nC_WrapKey return=0x70");
  EXPECT_FALSE(IsUsable(json));
  EXPECT_FALSE(json.at("verdict").contains("hsm"));
  EXPECT_THAT(Texts(json.at("verdict").at("reasons")),
              Contains(HasSubstr("no wrap mechanism that this service uses")));
}

TEST_F(QualificationOfFaulty, TooFewSessionsAreAReasonNotToUseIt) {
  const Json json = QualifyWith("sessions max=1");
  EXPECT_FALSE(IsUsable(json));
  EXPECT_THAT(FindingOf(json, "sessions", "granted"), HasSubstr("the service needs 2"));
}

TEST_F(QualificationOfFaulty, H17_TwoSessionsAreEnough) {
  const Json json = QualifyWith("sessions max=2");
  ASSERT_TRUE(IsUsable(json)) << json.at("verdict").dump(2);
  EXPECT_EQ(json.at("sessions").at("granted"), "2");
  EXPECT_EQ(json.at("mechanisms").at("best"), "gcm-encrypt");
  EXPECT_EQ(json.at("verdict").at("hsm").at("sessions").get<int>(), 1);
}

TEST_F(QualificationOfFaulty, CapOfSessionsIsKeptInTheConfiguration) {
  const Json json = QualifyWith("sessions max=8");
  ASSERT_TRUE(IsUsable(json)) << json.at("verdict").dump(2);
  EXPECT_EQ(json.at("sessions").at("granted"), "8");
  EXPECT_EQ(json.at("sessions").at("capped"), "yes");
  EXPECT_LE(json.at("verdict").at("hsm").at("sessions").get<int>(), 6);
  EXPECT_THAT(FindingOf(json, "sessions", "granted"), HasSubstr("CKR_SESSION_COUNT"));
}

TEST_F(QualificationOfFaulty, CrashIsNamedWithItsPlaceAndTheOtherTestsGoOn) {
  const Json json = QualifyWith("C_Encrypt signal=11");
  EXPECT_FALSE(IsUsable(json));
  EXPECT_FALSE(json.at("complete").get<bool>());
  EXPECT_THAT(FindingOf(json, "mechanisms", "gcm-encrypt"),
              HasSubstr("failed the library was killed by signal 11"));
  EXPECT_THAT(Texts(json.at("mechanisms").at("proven")), Contains("kw-wrap"));
  EXPECT_THAT(FindingOf(json, "connection", "cleaned up"), HasSubstr("ok "));
}

TEST_F(QualificationOfFaulty, LibraryThatExitsIsNamed) {
  const Json json = QualifyWith("C_GenerateRandom exit=5");
  EXPECT_FALSE(IsUsable(json));
  EXPECT_THAT(FindingOf(json, "random", "generator"), HasSubstr("exited with status 5"));
}

TEST_F(QualificationOfFaulty, HangIsNamedAndTheOtherTestsGoOn) {
  module_->SetRules("C_GenerateRandom hang");
  QualificationOptions options = Options();
  options.step_limit = std::chrono::seconds(5);
  const Json json = Qualify(options);
  EXPECT_FALSE(IsUsable(json));
  EXPECT_THAT(FindingOf(json, "random", "generator"), HasSubstr("did not return within"));
  EXPECT_EQ(json.at("recovery").at("initialised_anew"), "ok");
}

TEST_F(QualificationOfFaulty, RandomBytesThatRepeatAreAReasonNotToUseIt) {
  const Json json = QualifyWith("C_GenerateRandom constant");
  EXPECT_FALSE(IsUsable(json));
  EXPECT_THAT(FindingOf(json, "random", "random"), HasSubstr("repeat"));
}

TEST_F(QualificationOfFaulty, SectionsAreLeftOutWhenAsked) {
  QualificationOptions options = Options();
  options.skip = {"performance", "resident keys", "master key"};
  const Json json = Qualify(options);
  EXPECT_TRUE(IsUsable(json)) << json.at("verdict").dump(2);
  EXPECT_THAT(json.at("performance"), IsEmpty());
  EXPECT_THAT(FindingOf(json, "master key", "master key"), HasSubstr("ok "));
}

TEST_F(QualificationOfFaulty, WrongPinIsTriedOnceAndTheReportSaysSo) {
  testing::WriteTestFile(token_->pin_file(), "00000000");
  const Json json = QualifyWith("");
  EXPECT_FALSE(IsUsable(json));
  EXPECT_THAT(FindingOf(json, "connection", "login"), HasSubstr("CKR_PIN_INCORRECT"));
  EXPECT_EQ(module_->CountCalls("C_Login"), 1);
}

TEST_F(QualificationOfFaulty, WrongPinIsTriedOnPurposeOnlyWhenAsked) {
  const Json polite = QualifyWith("");
  EXPECT_THAT(FindingOf(polite, "pin", "wrong PIN"), HasSubstr("not tried"));
  module_->SetRules("");
  QualificationOptions options = Options();
  options.disruptive = true;
  const Json json = Qualify(options);
  EXPECT_TRUE(IsUsable(json)) << json.at("verdict").dump(2);
  EXPECT_THAT(FindingOf(json, "pin", "wrong PIN"), HasSubstr("CKR_PIN_INCORRECT"));
}

TEST_F(QualificationOfFaulty, UnknownTokenIsNamedWithTheOnesThatAreThere) {
  QualificationOptions options = Options();
  options.token.token_label = "nobody";
  const Json json = Qualify(options);
  EXPECT_FALSE(IsUsable(json));
  EXPECT_THAT(FindingOf(json, "connection", "token"),
              HasSubstr("\"" + token_->options().token_label + "\""));
}

TEST_F(QualificationOfFaulty, FileThatIsNoModuleIsNamed) {
  QualificationOptions options = Options();
  options.token.module_path = token_->pin_file();
  const Json json = Qualify(options);
  EXPECT_FALSE(IsUsable(json));
  EXPECT_THAT(FindingOf(json, "connection", "module"), HasSubstr("cannot be loaded"));
}

TEST_F(QualificationOfFaulty, SoftHsmTokenInUseIsLeftAlone) {
  KMS_ASSERT_OK_AND_ASSIGN(
      const auto lock, FileLock::Acquire(OwnerLockPath(token_->options().softhsm_state_directory,
                                                       token_->options().token_label),
                                         std::chrono::steady_clock::now()));
  const Json json = QualifyWith("");
  EXPECT_FALSE(IsUsable(json));
  EXPECT_THAT(FindingOf(json, "connection", "token"), HasSubstr("kmsd serves this SoftHSM token"));
}

TEST_F(QualificationOfFaulty, MissingPinIsAnErrorBeforeAnythingIsLoaded) {
  QualificationOptions options = Options();
  options.token.pin.value = token_->directory() + "/nothing";
  EXPECT_THAT(QualifyToken(options, Launcher(), [](const std::string&) {}),
              HasError(ErrorCode::kFailedPrecondition));
  EXPECT_EQ(module_->CountCalls("C_Initialize"), 0);
}

TEST_F(QualificationOfFaulty, LeftoversOfACrashAreRemovedByTheNextRun) {
  // Dies in the middle of the master key's test, which has a key in the token by then.
  const Json crashed =
      QualifyWith("C_FindObjectsInit n=9 exit=5\nC_FindObjectsInit from=10 exit=5");
  EXPECT_FALSE(IsUsable(crashed));
  const Json json = QualifyWith("");
  EXPECT_TRUE(IsUsable(json)) << json.at("verdict").dump(2);
  EXPECT_THAT(FindingOf(Qualify(Options()), "connection", "leftovers"), "");
}

}  // namespace
}  // namespace kms::pkcs11
