// SPDX-License-Identifier: Apache-2.0
#include "kms/auth/guarded_action.h"

#include "tests/support/matchers.h"

namespace kms {
namespace {

using testing::HasError;

TEST(GuardedActions, ReadTheirOwnText) {
  const GuardedActions some = GuardedActions::Parse(" trim , delete ").value();
  EXPECT_TRUE(some.Has(GuardedAction::kDelete));
  EXPECT_TRUE(some.Has(GuardedAction::kTrim));
  EXPECT_FALSE(some.Has(GuardedAction::kExport));
  EXPECT_EQ(some.ToText(), "delete,trim");
  EXPECT_EQ(GuardedActions::Parse(some.ToText()).value(), some);
}

TEST(GuardedActions, AllIsEveryOne) {
  const GuardedActions all = GuardedActions::Parse("all").value();
  EXPECT_EQ(all.ToText(), "delete,trim,export,backup,min_decryption_version,unprotect,unseal,"
                          "retire_master,recovery");
  EXPECT_TRUE(all.Covers(GuardedActions::Parse("export,all").value()));
}

TEST(GuardedActions, NothingDemandsNothing) {
  for (const char* text : {"", " ", "   "}) {
    EXPECT_TRUE(GuardedActions::Parse(text).value().empty()) << '"' << text << '"';
  }
  EXPECT_EQ(GuardedActions().ToText(), "");
}

TEST(GuardedActions, RefuseWhatTheyDoNotKnow) {
  for (const char* text : {"false", "none", "Delete", "delete trim", "delete,", ",", ",delete",
                           "delete,,trim", "delete;trim", "\tdelete"}) {
    EXPECT_THAT(GuardedActions::Parse(text), HasError(ErrorCode::kInvalidArgument)) << text;
  }
}

TEST(GuardedActions, FewerDoNotCoverMore) {
  const GuardedActions two = GuardedActions::Parse("delete,trim").value();
  const GuardedActions one = GuardedActions::Parse("delete").value();
  EXPECT_TRUE(two.Covers(one));
  EXPECT_TRUE(two.Covers(two));
  EXPECT_FALSE(one.Covers(two));
  EXPECT_FALSE(GuardedActions().Covers(one));
}

TEST(GuardedActions, NamesAndValuesAreFrozen) {
  EXPECT_EQ(static_cast<int>(GuardedAction::kDelete), 1);
  EXPECT_EQ(static_cast<int>(GuardedAction::kUnseal), 7);
  EXPECT_EQ(static_cast<int>(GuardedAction::kRetireMaster), 8);
  EXPECT_EQ(static_cast<int>(GuardedAction::kRecovery), 9);
  EXPECT_EQ(ParseGuardedAction("min_decryption_version"), GuardedAction::kMinDecryptionVersion);
  EXPECT_EQ(ParseGuardedAction("all"), std::nullopt);
}

}  // namespace
}  // namespace kms
