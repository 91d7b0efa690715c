// SPDX-License-Identifier: Apache-2.0
// The real kmsd under load while the master keys in one of its tokens are not those that it knows:
// two of one id (H12), other bytes or another token under the right label (H13), a token that was
// restored from an older backup (H14). Each is done while it serves, and before a start.
#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/hsm_fleet.h"
#include "tests/support/raw_token.h"

namespace kms::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Flips one bit of the value of every AES key in the files below `tokens`: what SoftHSM decrypts to
// another key without a word. Its object file has 8 bytes of attribute type, 8 of kind (2: number,
// 3: bytes), and of bytes 8 of length, all big-endian; the value begins with its IV. Returns how
// many were changed.
int FlipABitOfKeys(const std::string& tokens) {
  const std::string is_secret("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\4", 24);
  const std::string value("\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0\3", 16);
  int changed = 0;
  for (const auto& entry : fs::recursive_directory_iterator(tokens)) {
    if (entry.path().extension() != ".object") continue;
    std::string bytes = ReadFile(entry.path().string());
    const std::size_t found = bytes.find(value);
    if (bytes.find(is_secret) == std::string::npos || found == std::string::npos) continue;
    bytes[found + value.size() + 8] = static_cast<char>(bytes[found + value.size() + 8] ^ 1);
    WriteFile(entry.path().string(), bytes);
    ++changed;
  }
  return changed;
}

// Another token in `directory`/twin, with label and PIN of the one in `directory` and keys that
// have the ids and labels of its.
void MakeTwin(const std::string& directory, const std::string& token_label,
              const std::vector<std::string>& keys) {
  const std::string twin = directory + "/twin";
  fs::create_directories(twin + "/tokens");
  fs::copy_file(directory + "/pin", twin + "/pin");
  std::vector<Uuid> ids;
  {
    RawToken token(directory);
    for (const std::string& key : keys) ids.push_back(token.IdOf(key));
  }
  std::string pin = ReadFile(twin + "/pin");
  pin.erase(pin.find_last_not_of('\n') + 1);
  pkcs11::TokenOptions options;
  options.module_path = kSoftHsmModule;
  options.token_label = token_label;
  options.softhsm_config = twin + "/softhsm2.conf";
  options.softhsm_state_directory = twin;
  ASSERT_TRUE(pkcs11::WriteSoftHsmConfig(options.softhsm_config, twin + "/tokens").has_value());
  const auto made = pkcs11::CreateSoftHsmToken(options, SecretBytes::CopyOf(AsBytes(pin)).value(),
                                               SecretBytes::CopyOf(AsBytes(kTestSoPin)).value());
  ASSERT_TRUE(made.has_value()) << Describe(made.error());
  RawToken token(twin);
  for (std::size_t index = 0; index < keys.size(); ++index) token.Add(keys[index], ids[index]);
}

enum class When : std::uint8_t { kWhileItServes, kBeforeAStart };

class HsmKeys : public ::testing::TestWithParam<When> {
 protected:
  void Begin() {
    ASSERT_TRUE(fleet_.Start());
    fleet_.StartWriters();
  }
  // Does it and lets kmsd look at the token again: by a new worker, or by a start of its own.
  template <typename Act>
  void Tamper(Act act) {
    if (GetParam() == When::kBeforeAStart) {
      fleet_.Stop();
      act();
      ASSERT_TRUE(fleet_.Serve());
      fleet_.StartWriters(/*all_serve=*/false);
      return;
    }
    act();
    const std::uint64_t restarts = Restarts();
    fleet_.faults().SetRules("* once signal=9");
    EXPECT_TRUE(Eventually([&] { return Restarts() > restarts; })) << fleet_.Hsm("hsm-2");
  }
  std::uint64_t Restarts() {
    return fleet_.Hsm("hsm-2").value("worker_restarts", std::uint64_t{0});
  }
  // hsm-2's part in an environment, as `kmsctl hsm list --json` shows it.
  json Part(const std::string& environment) {
    const json hsm = fleet_.Hsm("hsm-2");
    if (hsm.contains("environments")) {
      for (const json& part : hsm["environments"]) {
        if (part.value("name", "") == environment) return part;
      }
    }
    return json::object();
  }
  static json DataOf(const HttpReply& reply) {
    const json body = json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
    return body.is_object() && body.contains("data") ? body["data"] : json::object();
  }
  bool IsRecorded(const std::string& operation, const std::string& environment) {
    std::istringstream log(ReadFile(fleet_.state() + "/audit.log"));
    for (std::string line; std::getline(log, line);) {
      if (line.find("\"" + operation + "\"") != std::string::npos &&
          line.find("\"" + environment + "\"") != std::string::npos) {
        return true;
      }
    }
    return false;
  }
  // The token is out of the environment, and whoever looks is told why.
  void ExpectRefused(const std::string& environment, const std::string& reason) {
    EXPECT_TRUE(Eventually([&] { return fleet_.Health(environment) == "refused"; }, seconds(20)))
        << fleet_.Hsm("hsm-2");
    EXPECT_THAT(Part(environment).value("reason", ""), HasSubstr(reason));
    EXPECT_TRUE(IsRecorded("hsm-refused", environment));
    EXPECT_TRUE(fleet_.HasMetric(
        "kms_environment_hsms{environment=\"" + environment + "\",state=\"refused\"}", "1"));
    EXPECT_FALSE(fleet_.HasMetric("kms_hsm_alarms_total", "0"));
    EXPECT_THAT(fleet_.kmsd().Log(), HasSubstr(reason));
  }
  // prod, which only this token opens, is sealed; the others serve.
  void ExpectProdSealed(const std::string& reason) {
    EXPECT_TRUE(Eventually([&] { return fleet_.IsSealed("prod"); })) << fleet_.Hsm("hsm-2");
    EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_sealed{environment="prod"})", "1"));
    const auto client = fleet_.kmsd().NewClient();
    EXPECT_THAT(DataOf(client->Get("/v1/sys/environments/prod/lease")).value("reason", ""),
                HasSubstr(reason));
    if (GetParam() == When::kBeforeAStart) {
      EXPECT_EQ(fleet_.prod().Served(), 0U);
    }
    ExpectOthersServe();
  }
  void ExpectOthersServe() {
    const std::uint64_t before = fleet_.staging().Served();
    EXPECT_TRUE(Eventually([&] { return fleet_.staging().Served() >= before + 100; }, seconds(30)));
    EXPECT_EQ(fleet_.staging().Failed(), 0U);
    EXPECT_FALSE(fleet_.IsSealed("dev"));
  }
  void ExpectHealed() {
    EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 200; }, seconds(20)))
        << fleet_.Hsm("hsm-2") << fleet_.kmsd().Log();
    EXPECT_TRUE(Eventually([&] {
      return fleet_.Health("prod") == "ready" && fleet_.Health("staging") == "ready";
    })) << fleet_.Hsm("hsm-2");
    EXPECT_TRUE(fleet_.HasMetric(R"(kms_environment_sealed{environment="prod"})", "0"));
    EXPECT_TRUE(IsRecorded("lease-unseal", "prod"));
  }
  // The newest state of a task once it is over.
  std::string RunTask(const std::string& environment, const std::string& verb) {
    const auto client = fleet_.kmsd().NewClient();
    const HttpReply started = client->Post("/v1/sys/environments/" + environment + "/" + verb);
    EXPECT_EQ(started.status, 200) << started.body;
    const std::string task = "/v1/sys/tasks/" + DataOf(started).value("task", "");
    std::string state;
    EXPECT_TRUE(Eventually(
        [&] {
          state = DataOf(client->Get(task)).value("state", "");
          return state == "done" || state == "failed";
        },
        seconds(30)))
        << client->Get(task).body;
    return state;
  }

  [[nodiscard]] std::string directory() const { return fleet_.state() + "/hsm-2"; }
  void KeepTokens() {
    fs::copy(fleet_.tokens(), fleet_.tokens() + ".kept", fs::copy_options::recursive);
  }
  // What is there now goes to `.other`; the token is away for a moment, so that it is looked at
  // again.
  void PutBackTokens() {
    fs::rename(fleet_.tokens(), fleet_.tokens() + ".other");
    EXPECT_TRUE(Eventually([&] { return fleet_.Hsm("hsm-2").value("state", "ready") != "ready"; }));
    fs::rename(fleet_.tokens() + ".kept", fleet_.tokens());
  }
  void SwapTokens() {
    fs::rename(fleet_.tokens(), fleet_.tokens() + ".other");
    fs::rename(fleet_.tokens() + ".kept", fleet_.tokens());
    fs::rename(fleet_.tokens() + ".other", fleet_.tokens() + ".kept");
  }
  std::string IdOf(const std::string& label) {
    return RawToken(directory()).IdOf(label).ToString();
  }
  void AddKey(const std::string& label, const std::string& id) {
    std::string hex = id;
    std::erase(hex, '-');
    fleet_.Pkcs11Tool({"--keygen", "--key-type", "AES:32", "--label", label, "--id", hex,
                       "--private", "--sensitive"});
  }
  std::string Listed() { return fleet_.Pkcs11Tool({"--list-objects", "--type", "secrkey"}); }

  HsmFleet fleet_;
};

std::string NameOf(const ::testing::TestParamInfo<When>& info) {
  return info.param == When::kWhileItServes ? "WhileItServes" : "BeforeAStart";
}
INSTANTIATE_TEST_SUITE_P(Of, HsmKeys, ::testing::Values(When::kWhileItServes, When::kBeforeAStart),
                         NameOf);

// ---- H12: two keys ------------------------------------------------------------------------------

TEST_P(HsmKeys, H12_TwoKeysOfOneIdAreRefusedAndBothAreNamed) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const std::string id = IdOf("kms/prod/1");
  ASSERT_NO_FATAL_FAILURE(Tamper([&] { AddKey("intruder", id); }));
  ExpectProdSealed("\"intruder\"");
  ExpectRefused("prod", "\"intruder\"");
  EXPECT_THAT(Part("prod").value("reason", ""),
              AllOf(HasSubstr("\"kms/prod/1\""), HasSubstr("all but the right one are removed")));
  EXPECT_EQ(fleet_.Health("staging"), "ready") << "its key is one of its own";
  fleet_.Pkcs11Tool({"--delete-object", "--type", "secrkey", "--label", "intruder"});
  ExpectHealed();
  fleet_.ExpectNothingLost();
}

TEST_P(HsmKeys, H12_AnotherKeyOfTheSameLabelIsNeverTaken) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  ASSERT_NO_FATAL_FAILURE(
      Tamper([&] { AddKey("kms/prod/1", "00112233-4455-6677-8899-aabbccddeeff"); }));
  EXPECT_TRUE(Eventually([&] { return fleet_.prod().Last() == 200; }, seconds(20)));
  EXPECT_TRUE(Eventually([&] { return fleet_.Health("prod") == "ready"; }));
  ExpectOthersServe();
  EXPECT_EQ(RunTask("prod", "rotate-key"), "done");
  fleet_.Pkcs11Tool(
      {"--delete-object", "--type", "secrkey", "--id", "00112233445566778899aabbccddeeff"});
  EXPECT_EQ(fleet_.Health("prod"), "ready");
  fleet_.ExpectNothingLost();
}

// ---- H13: other bytes ---------------------------------------------------------------------------

// SoftHSM does not notice: the key is another one.
TEST_P(HsmKeys, H13_AKeyWhoseBitsRottedIsRefusedAndWrapsNothing) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  KeepTokens();
  ASSERT_NO_FATAL_FAILURE(Tamper([&] { EXPECT_EQ(FlipABitOfKeys(fleet_.tokens()), 2); }));
  ExpectProdSealed("not the recorded one");
  ExpectRefused("prod", "not the recorded one");
  ExpectRefused("staging", "not the recorded one");
  EXPECT_EQ(RunTask("staging", "rotate-key"), "done");
  EXPECT_EQ(Part("staging").value("missing_wraps", 0), 1) << "of the new key";
  EXPECT_EQ(fleet_.Health("staging"), "refused");
  PutBackTokens();
  ExpectHealed();
  EXPECT_EQ(Part("staging").value("missing_wraps", 9), 0);
  fleet_.ExpectNothingLost();
}

// Everything is as it was, label, PIN, ids and labels of the keys, but for the keys themselves.
TEST_P(HsmKeys, H13_AnotherTokenUnderTheRightLabelIsRefusedUntilTheRightOneIsBack) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  MakeTwin(directory(), "kms-dev-2", {"kms/prod/1", "kms/staging/1"});
  KeepTokens();
  ASSERT_NO_FATAL_FAILURE(Tamper([&] {
    fs::rename(fleet_.tokens(), fleet_.tokens() + ".away");
    fs::rename(directory() + "/twin/tokens", fleet_.tokens());
  }));
  ExpectProdSealed("");
  ExpectRefused("prod", "");
  ExpectRefused("staging", "");
  EXPECT_EQ(RunTask("staging", "rotate-key"), "done");
  EXPECT_EQ(Part("staging").value("missing_wraps", 0), 1) << "of the new key";
  PutBackTokens();
  ExpectHealed();
  fleet_.ExpectNothingLost();
}

// ---- H14: an older backup -----------------------------------------------------------------------

class HsmBackup : public HsmKeys {
 protected:
  // The master keys were rotated after the copy of the token that is put back was made.
  void PutBackOlderTokens() {
    ASSERT_NO_FATAL_FAILURE(Begin());
    KeepTokens();
    EXPECT_EQ(RunTask("prod", "rotate-master"), "done");
    EXPECT_EQ(RunTask("staging", "rotate-master"), "done");
    ExpectOthersServe();
    ASSERT_NO_FATAL_FAILURE(Tamper([&] { SwapTokens(); }));
  }
  void ExpectNothingMadeAnew() {
    EXPECT_THAT(Listed(), Not(HasSubstr("kms/prod/2")));
    EXPECT_THAT(Listed(), Not(HasSubstr("kms/staging/2")));
  }
};
class HsmBackupInService : public HsmBackup {};
class HsmBackupAtAStart : public HsmBackup {};
INSTANTIATE_TEST_SUITE_P(Of, HsmBackupInService, ::testing::Values(When::kWhileItServes), NameOf);
INSTANTIATE_TEST_SUITE_P(Of, HsmBackupAtAStart, ::testing::Values(When::kBeforeAStart), NameOf);

// The master key before, which is not retired, opens prod; another rotation mends the token.
TEST_P(HsmBackupInService, H14_ATokenFromAnOlderBackupIsOutUntilTheOperatorActs) {
  ASSERT_NO_FATAL_FAILURE(PutBackOlderTokens());
  ExpectRefused("staging", "kmsctl master rotate --env staging");
  ExpectRefused("prod", "until then master key kms/prod/1");
  ExpectOthersServe();
  EXPECT_FALSE(fleet_.IsSealed("prod"));
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  ExpectNothingMadeAnew();
  EXPECT_EQ(RunTask("prod", "rotate-master"), "done");
  EXPECT_EQ(RunTask("staging", "rotate-master"), "done");
  EXPECT_TRUE(Eventually([&] {
    return fleet_.Health("prod") == "ready" && fleet_.Health("staging") == "ready";
  })) << fleet_.Hsm("hsm-2");
  ExpectOthersServe();
  EXPECT_EQ(fleet_.prod().Failed(), 0U);
  fleet_.ExpectNothingLost();
}

// A start sees by its epoch that the token was set back, and does not use it.
TEST_P(HsmBackupAtAStart, H14_ATokenFromAnOlderBackupIsNotUsedAndSaysWhatToDo) {
  ASSERT_NO_FATAL_FAILURE(PutBackOlderTokens());
  ExpectProdSealed("start with --accept-rollback");
  EXPECT_THAT(fleet_.Hsm("hsm-2").value("reason", ""), HasSubstr("it holds epoch"));
  EXPECT_EQ(fleet_.Health("staging"), "unknown") << "it is not asked";
  ExpectOthersServe();
  ExpectNothingMadeAnew();
  fleet_.Stop();
  SwapTokens();
  ASSERT_TRUE(fleet_.Serve());
  fleet_.StartWriters();
  EXPECT_TRUE(Eventually([&] {
    return fleet_.Health("prod") == "ready" && fleet_.Health("staging") == "ready";
  })) << fleet_.Hsm("hsm-2");
  fleet_.ExpectNothingLost();
}

}  // namespace
}  // namespace kms::testing
