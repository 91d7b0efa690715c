// SPDX-License-Identifier: Apache-2.0
// kmsctl limits …: requests and rendering.
#include <gmock/gmock.h>

#include "tests/tools/kmsctl_fixture.h"

namespace kms::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LimitsCommands : public KmsctlTest {};

TEST_F(LimitsCommands, ShowListsWhatIsLimited) {
  ReplyData(
      {{"limits",
        {{{"class", "data"},
          {"scope", "principal"},
          {"rate", 100},
          {"interval", 1},
          {"burst", 200}},
         {{"class", "login"}, {"scope", "address"}, {"rate", 20}, {"interval", 60}, {"burst", 5}},
         {{"class", "keys"}, {"scope", "total"}, {"rate", 3}, {"interval", 10}, {"burst", 3}}}}});
  const ToolRun run = Run({"limits", "show"});
  EXPECT_EQ(OnlyRequest().method, "GET");
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/limits/rate");
  EXPECT_EQ(run.out,
            "CLASS  EACH       RATE   BURST\n"
            "data   principal  100/s  200\n"
            "login  address    20/m   5\n"
            "keys   total      3/10s  3\n");
}

TEST_F(LimitsCommands, SetSendsOneLimit) {
  ReplyRaw(204, "");
  const ToolRun run = Run({"limits", "set", "login", "20/m", "--each", "address", "--burst", "5"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "limited login by address\n");
  EXPECT_EQ(OnlyRequest().method, "POST");
  EXPECT_EQ(
      Json(OnlyRequest().body),
      (nlohmann::json{
          {"class", "login"}, {"scope", "address"}, {"rate", 20}, {"interval", 60}, {"burst", 5}}));
}

TEST_F(LimitsCommands, SetReadsRatesAsPeopleWriteThem) {
  ReplyRaw(204, "");
  const auto sent = [&](const std::string& rate) {
    EXPECT_EQ(Run({"limits", "set", "data", rate}).status, 0) << rate;
    const nlohmann::json body = Json(server_.requests().back().body);
    return std::pair(body["rate"].get<int>(), body["interval"].get<int>());
  };
  EXPECT_EQ(sent("100/s"), std::pair(100, 1));
  EXPECT_EQ(sent("5/10s"), std::pair(5, 10));
  EXPECT_EQ(sent("3/h"), std::pair(3, 3600));
  EXPECT_EQ(sent("off"), std::pair(0, 1));
}

TEST_F(LimitsCommands, SetRefusesOtherRatesWithoutAsking) {
  for (const char* rate :
       {"100", "/s", "0/s", "-1/s", "1/d", "1/0s", "1/-5s", "1/s ", "1.5/s", "1/ss", "1/5", "1/"}) {
    const ToolRun run = Run({"limits", "set", "data", "--", rate});
    EXPECT_EQ(run.status, 2) << rate;
    EXPECT_THAT(run.err, HasSubstr("100/s")) << rate;
  }
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(LimitsCommands, BudgetsAreSetListedAndDeleted) {
  ReplyRaw(204, "");
  EXPECT_EQ(Run({"limits", "budget", "set", "cap", "--rows", "1000", "--env", "prod", "--key",
                 "orders*", "--stop"})
                .status,
            0);
  EXPECT_EQ(server_.requests().back().target, "/v1/sys/limits/budgets/cap");
  EXPECT_EQ(Json(server_.requests().back().body), (nlohmann::json{{"rows_per_hour", 1000},
                                                                  {"action", "stop"},
                                                                  {"environment", "prod"},
                                                                  {"key", "orders*"},
                                                                  {"policy", "*"},
                                                                  {"actor", "*"}}));
  EXPECT_EQ(Run({"limits", "budget", "delete", "cap", "--yes"}).status, 0);
  EXPECT_EQ(server_.requests().back().method, "DELETE");
}

TEST_F(LimitsCommands, BudgetListShowsEachWithWhomItConcerns) {
  ReplyData({{"keys", {"cap"}},
             {"key_info",
              {{"cap",
                {{"name", "cap"},
                 {"rows_per_hour", 1000},
                 {"action", "stop"},
                 {"environment", "prod"},
                 {"key", "*"},
                 {"policy", "billing"},
                 {"actor", "*"}}}}}});
  const ToolRun run = Run({"limits", "budget", "list"});
  EXPECT_EQ(server_.requests().back().method, "LIST");
  EXPECT_EQ(run.out,
            "NAME  ROWS/H  ACTION  ENVIRONMENT  KEY  POLICY   ACTOR\n"
            "cap   1000    stop    prod         *    billing  *\n");
}

TEST_F(LimitsCommands, NothingToListIsSaidOnStderr) {
  Reply(404, {{"errors", nlohmann::json::array()}});
  for (const char* family : {"budget", "blocks"}) {
    const ToolRun run = Run({"limits", family, "list"});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out, "") << family;
    EXPECT_NE(run.err, "") << family;
  }
  EXPECT_EQ(Run({"limits", "blocks", "list", "--json"}).out, "{\"blocks\":[]}\n");
}

TEST_F(LimitsCommands, BlocksAreListed) {
  ReplyData({{"keys", {"userpass/alice@192.0.2.1"}},
             {"blocks",
              {{{"kind", "name-at-address"},
                {"address", "192.0.2.1"},
                {"name", "userpass/alice"},
                {"failures", 8},
                {"remaining", 4}}}}});
  EXPECT_EQ(Run({"limits", "blocks", "list"}).out,
            "ADDRESS    LOGIN           FAILURES  SECONDS LEFT\n"
            "192.0.2.1  userpass/alice  8         4\n");
}

TEST_F(LimitsCommands, BlocksAreClearedByAddressByLoginOrAll) {
  ReplyData({{"cleared", 3}});
  const auto target = [&](const std::vector<std::string>& options) {
    std::vector<std::string> line = {"limits", "blocks", "clear"};
    line.insert(line.end(), options.begin(), options.end());
    const ToolRun run = Run(line);
    EXPECT_EQ(run.out, "cleared 3\n") << run.err;
    EXPECT_EQ(server_.requests().back().method, "DELETE");
    return server_.requests().back().target;
  };
  EXPECT_EQ(target({"--address", "2001:db8::1"}),
            "/v1/sys/limits/blocks?address=2001%3Adb8%3A%3A1");
  EXPECT_EQ(target({"--login", "userpass/alice"}), "/v1/sys/limits/blocks?login=userpass%2Falice");
  EXPECT_EQ(target({"--address", "192.0.2.1", "--login", "a&all=true"}),
            "/v1/sys/limits/blocks?address=192.0.2.1&login=a%26all%3Dtrue");
  EXPECT_EQ(target({"--all"}), "/v1/sys/limits/blocks?all=true");
}

TEST_F(LimitsCommands, ClearingNeedsToBeToldWhat) {
  EXPECT_EQ(Run({"limits", "blocks", "clear"}).status, 2);
  EXPECT_EQ(Run({"limits", "blocks", "clear", "--all", "--login", "x/y"}).status, 2);
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(LimitsCommands, StatusShowsCountsAndWhoUsesMost) {
  ReplyData({{"rate",
              {{"refused", {{"principal", 7}, {"address", 0}, {"total", 0}}},
               {"top",
                {{{"class", "data"},
                  {"scope", "principal"},
                  {"who", "billing\x1b[2J"},
                  {"admitted", 90},
                  {"refused", 7}}}}}},
             {"budgets",
              {{"alarms", 1},
               {"stops", 2},
               {"top",
                {{{"budget", "cap"},
                  {"actor", "billing"},
                  {"environment", "prod"},
                  {"key", "orders"},
                  {"rows", 99},
                  {"rows_per_hour", 100}}}}}},
             {"logins", {{"refused", 3}, {"blocked", 1}}}});
  const ToolRun run = Run({"limits", "status"});
  EXPECT_EQ(OnlyRequest().target, "/v1/sys/limits/status");
  for (const char* part : {"refused by principal", "billing?[2J", "prod/orders", "99", "cap"}) {
    EXPECT_THAT(run.out, HasSubstr(part));
  }
}

TEST_F(LimitsCommands, AnAnswerOfAnotherShapeIsNoCrash) {
  ReplyData({{"limits", "none"}, {"rate", 3}, {"budgets", nullptr}, {"keys", {"x"}}});
  EXPECT_EQ(Run({"limits", "show"}).status, 0);
  EXPECT_EQ(Run({"limits", "status"}).status, 0);
  EXPECT_EQ(Run({"limits", "budget", "list"}).status, 0);
  EXPECT_EQ(Run({"limits", "blocks", "list"}).status, 0);
}

}  // namespace
}  // namespace kms::testing
