// SPDX-License-Identifier: Apache-2.0
// Mass assignment: a request changes what its route documents and nothing else, whatever it names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/api_service.h"

namespace kms::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// Every attribute of a key, and of the service's own bookkeeping, with a value that it does not
// have.
const json kEverything = {
    {"name", "other"},
    {"type", "chacha20-poly1305"},
    {"derived", true},
    {"convergent_encryption", true},
    {"exportable", true},
    {"allow_plaintext_backup", true},
    {"deletion_allowed", true},
    {"auto_rotate_period", "24h"},
    {"min_available_version", 2},
    {"min_decryption_version", 2},
    {"min_encryption_version", 2},
    {"latest_version", 9},
    {"imported_key", true},
    {"imported_key_allow_rotation", true},
    {"allow_rotation", true},
    {"soft_deleted", true},
    {"supports_signing", true},
    {"backup_info", {{"version", 1}}},
    {"restore_info", {{"version", 1}}},
    {"keys", {{"1", 1}}},
    {"usage", {{"1", {{"encryptions", 0}, {"limit", 1}}}}},
    {"incarnation", "6f0c8d6a-6f0e-4f1c-9b1e-0a4f1d0f8f11"},
    {"protected", false},
    {"disable_upsert", true},
    {"max_encryptions_per_version", 1},
};

json KeyOf(ApiService& api) { return json::parse(api.Get("/v1/dev/keys/app").body)["data"]; }

std::set<std::string> Changed(const json& before, const json& after) {
  std::set<std::string> changed;
  for (const auto& [name, value] : after.items()) {
    if (!before.contains(name) || before[name] != value) {
      changed.insert(name);
    }
  }
  return changed;
}

struct FieldRow {
  api::HttpMethod method;
  const char* target;
  std::set<std::string> may_change;
};

TEST(MassAssignment, A17_ARouteChangesOnlyWhatItDocuments) {
  using enum api::HttpMethod;
  const FieldRow rows[] = {
      {kPost, "/v1/dev/keys/app/config",
       {"min_decryption_version", "min_encryption_version", "deletion_allowed", "exportable",
        "allow_plaintext_backup", "auto_rotate_period", "keys", "usage"}},
      {kPost, "/v1/dev/keys/app/rotate", {"latest_version", "keys", "usage"}},
      {kPost, "/v1/dev/keys/app/trim", {}},  // refused: the minimums are not set
      {kPost, "/v1/dev/keys/app", {}},       // it exists
      {kDelete, "/v1/dev/keys/app/soft-delete", {"soft_deleted"}},
      {kPost, "/v1/dev/keys/app/soft-delete-restore", {}},
      {kPost, "/v1/dev/encrypt/app", {}},  // no plaintext in it: refused
      {kPost, "/v1/dev/config/keys", {}},
  };
  for (const FieldRow& row : rows) {
    ApiService api;
    api.Post("/v1/dev/keys/app");
    api.Post("/v1/dev/keys/app/rotate");
    const json before = KeyOf(api);
    api.Call(ApiService::WithToken({row.method, row.target, kEverything.dump(), {}}));
    const std::set<std::string> changed = Changed(before, KeyOf(api));
    EXPECT_EQ(changed, row.may_change) << row.target;
    EXPECT_EQ(api.Get("/v1/dev/keys/other").status, 404) << "the path names the key";
  }
}

TEST(MassAssignment, A17_CreationTakesItsOwnFieldsOnly) {
  ApiService api;
  const ApiAnswer answer = api.Post("/v1/dev/keys/app", kEverything.dump());
  ASSERT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr("Endpoint ignored these unrecognized parameters"));
  const json key = KeyOf(api);
  EXPECT_EQ(key["type"], "chacha20-poly1305");
  EXPECT_EQ(key["exportable"], true);
  EXPECT_EQ(key["deletion_allowed"], false);
  EXPECT_EQ(key["latest_version"], 1);
  EXPECT_EQ(key["min_available_version"], 0);
  EXPECT_EQ(key["min_decryption_version"], 1);
  EXPECT_EQ(key["min_encryption_version"], 0);
  EXPECT_EQ(key["imported_key"], false);
  EXPECT_EQ(key["soft_deleted"], false);
  EXPECT_FALSE(key.contains("backup_info"));
}

TEST(MassAssignment, A17_EncryptionOnDemandGrantsNothing) {
  ApiService api;
  json body = kEverything;
  body["plaintext"] = "aGVsbG8=";
  body.erase("convergent_encryption");
  ASSERT_EQ(api.Post("/v1/dev/encrypt/app", body.dump()).status, 200);
  const json key = KeyOf(api);
  for (const char* grant : {"exportable", "allow_plaintext_backup", "deletion_allowed", "derived",
                            "imported_key", "soft_deleted"}) {
    EXPECT_EQ(key[grant], false) << grant;
  }
  EXPECT_EQ(key["auto_rotate_period"], 0);
}

TEST(MassAssignment, A17_ExportableAndPlaintextBackupGoOneWay) {
  ApiService api;
  api.Post("/v1/dev/keys/app", R"({"exportable":true,"allow_plaintext_backup":true})");
  EXPECT_EQ(api.Post("/v1/dev/keys/app/config",
                     R"({"exportable":false,"allow_plaintext_backup":false})").status, 200);
  const json key = KeyOf(api);
  EXPECT_EQ(key["exportable"], true);
  EXPECT_EQ(key["allow_plaintext_backup"], true);
}

TEST(MassAssignment, A17_TheLimitOfEncryptionsIsTunedWithinItsBounds) {
  ApiService api;
  const auto tune = [&](const char* value) {
    return api.Post("/v1/sys/mounts/dev/tune",
                    std::string(R"({"options":{"max_encryptions_per_version":")") + value + R"("}})");
  };
  for (const char* bad : {"0", "-1", "4278190081", "many", "", "1e3", "18446744073709551617"}) {
    const ApiAnswer answer = tune(bad);
    EXPECT_EQ(answer.status, 400) << bad;
    EXPECT_THAT(answer.body, HasSubstr("must be a number from 1 to 4278190080")) << bad;
  }
  EXPECT_EQ(tune("1000").status, 204);
  api.Post("/v1/dev/keys/app");
  EXPECT_EQ(KeyOf(api)["usage"]["1"]["limit"], 1000);
}

}  // namespace
}  // namespace kms::testing
