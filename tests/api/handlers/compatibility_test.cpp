// SPDX-License-Identifier: Apache-2.0
// Holds api/COMPATIBILITY.md against the route table and the key types: what the page offers exists,
// what exists below an environment is on the page, and what it does not offer is absent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/handlers/route_table.h"
#include "kms/keys/key_type.h"

namespace kms::api {
namespace {

using ::testing::IsEmpty;

// A row of one of the page's three kinds of tables: | `what` | compared | notes |
struct Row {
  std::string what;
  std::string compared;
  std::string notes;

  [[nodiscard]] bool offered() const { return compared != "not offered"; }
};

// An endpoint table and the parameter table that follows it, whose rows all of its endpoints take.
struct Group {
  std::vector<Row> endpoints;
  std::vector<Row> parameters;
};

struct Page {
  std::vector<Group> groups;
  std::vector<Row> key_types;
};

std::string Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  const std::size_t last = text.find_last_not_of(' ');
  return first == std::string_view::npos ? "" : std::string(text.substr(first, last - first + 1));
}

std::vector<std::string> CellsOf(std::string_view line) {
  std::vector<std::string> cells;
  for (std::size_t start = 1; start < line.size();) {
    const std::size_t end = std::min(line.find('|', start), line.size());
    cells.push_back(Trimmed(line.substr(start, end - start)));
    start = end + 1;
  }
  return cells;
}

std::string WithoutBackticks(std::string text) {
  std::erase(text, '`');
  return text;
}

class PageReader {
 public:
  Page Read(std::istream& in) {
    for (std::string line; std::getline(in, line);) {
      Take(line);
    }
    return std::move(page_);
  }

 private:
  void Take(const std::string& line) {
    if (!line.starts_with("|")) {
      rows_ = nullptr;
      return;
    }
    const std::vector<std::string> cells = CellsOf(line);
    if (cells.size() == 3 && cells[1] == "Compared") {
      Begin(cells[0]);
    } else if (rows_ != nullptr && !line.starts_with("|-")) {
      ASSERT_EQ(cells.size(), 3U) << line;
      rows_->push_back(Row{WithoutBackticks(cells[0]), cells[1], cells[2]});
    }
  }

  void Begin(const std::string& kind) {
    if (kind == "Endpoint") {
      rows_ = &page_.groups.emplace_back().endpoints;
    } else if (kind == "Parameter") {
      ASSERT_FALSE(page_.groups.empty()) << "a table of parameters follows its endpoints";
      rows_ = &page_.groups.back().parameters;
    } else {
      ASSERT_EQ(kind, "Key type");
      rows_ = &page_.key_types;
    }
  }

  Page page_;
  std::vector<Row>* rows_ = nullptr;
};

Page ReadPage() {
  std::ifstream file(KMS_SOURCE_DIR "/api/COMPATIBILITY.md");
  EXPECT_TRUE(file.is_open());
  return PageReader().Read(file);
}

std::string_view VerbOf(Operation operation) {
  switch (operation) {
    case Operation::kRead: return "GET";
    case Operation::kUpdate: return "POST";
    case Operation::kDelete: return "DELETE";
    case Operation::kList: return "LIST";
  }
  return "?";
}

// Endpoint → its parameters, as the table of routes has it.
std::map<std::string, std::set<std::string>> RoutesBelowAnEnvironment() {
  std::map<std::string, std::set<std::string>> routes;
  for (const Route& route : RouteTable()) {
    if (route.absolute || !route.auth_type.empty()) {
      continue;
    }
    const std::string endpoint =
        std::string(VerbOf(route.operation)) + " " + std::string(route.pattern);
    std::set<std::string>& fields = routes[endpoint];
    for (const FieldSpec& field : route.fields) {
      fields.insert(std::string(field.name));
    }
  }
  return routes;
}

std::map<std::string, std::set<std::string>> OfferedBy(const Page& page) {
  std::map<std::string, std::set<std::string>> offered;
  for (const Group& group : page.groups) {
    for (const Row& endpoint : group.endpoints) {
      if (!endpoint.offered()) {
        continue;
      }
      EXPECT_FALSE(offered.contains(endpoint.what)) << endpoint.what << " is listed twice";
      std::set<std::string>& fields = offered[endpoint.what];
      for (const Row& parameter : group.parameters) {
        if (parameter.offered()) {
          EXPECT_TRUE(fields.insert(parameter.what).second)
              << endpoint.what << " lists " << parameter.what << " twice";
        }
      }
    }
  }
  return offered;
}

// "GET export/{type}/{name}" → "GET export/{}/{}": names of captures do not make another endpoint.
std::string ShapeOf(std::string_view endpoint) {
  std::string shape;
  bool inside = false;
  for (const char c : endpoint) {
    inside = inside ? c != '}' : c == '{';
    if (!inside || c == '{') {
      shape += c;
    }
  }
  return shape;
}

std::set<std::string> ShapesOfRoutes() {
  std::set<std::string> shapes;
  for (const auto& [endpoint, fields] : RoutesBelowAnEnvironment()) {
    shapes.insert(ShapeOf(endpoint));
  }
  return shapes;
}

std::vector<Row> AllRows(const Page& page) {
  std::vector<Row> rows = page.key_types;
  for (const Group& group : page.groups) {
    rows.insert(rows.end(), group.endpoints.begin(), group.endpoints.end());
    rows.insert(rows.end(), group.parameters.begin(), group.parameters.end());
  }
  return rows;
}

// What of `a` is missing in `b`, one line each.
std::vector<std::string> Missing(const std::map<std::string, std::set<std::string>>& a,
                                 const std::map<std::string, std::set<std::string>>& b) {
  std::vector<std::string> lines;
  for (const auto& [endpoint, fields] : a) {
    const auto other = b.find(endpoint);
    if (other == b.end()) {
      lines.push_back(endpoint);
      continue;
    }
    for (const std::string& field : fields) {
      if (!other->second.contains(field)) {
        lines.push_back(endpoint + ": " + field);
      }
    }
  }
  return lines;
}

TEST(CompatibilityPage, ListsEveryRouteAndFieldBelowAnEnvironment) {
  EXPECT_THAT(Missing(RoutesBelowAnEnvironment(), OfferedBy(ReadPage())), IsEmpty())
      << "write them into api/COMPATIBILITY.md, or change \"not offered\" there";
}

TEST(CompatibilityPage, OffersNothingThatTheRouteTableLacks) {
  EXPECT_THAT(Missing(OfferedBy(ReadPage()), RoutesBelowAnEnvironment()), IsEmpty());
}

TEST(CompatibilityPage, NamesAsNotOfferedOnlyWhatIsAbsent) {
  const std::set<std::string> shapes = ShapesOfRoutes();
  const auto routes = RoutesBelowAnEnvironment();
  std::size_t refused = 0;
  for (const Group& group : ReadPage().groups) {
    for (const Row& endpoint : group.endpoints) {
      if (!endpoint.offered()) {
        ++refused;
        EXPECT_FALSE(shapes.contains(ShapeOf(endpoint.what))) << endpoint.what;
        continue;
      }
      for (const Row& parameter : group.parameters) {
        refused += parameter.offered() ? 0U : 1U;
        const auto route = routes.find(endpoint.what);
        EXPECT_FALSE(!parameter.offered() && route != routes.end() &&
                     route->second.contains(parameter.what))
            << endpoint.what << " takes " << parameter.what;
      }
    }
  }
  EXPECT_GT(refused, 0U);
}

TEST(CompatibilityPage, ListsEveryKeyTypeAndNoOther) {
  std::set<std::string> offered;
  for (const Row& row : ReadPage().key_types) {
    // An external key is of the type that it is in its HSM.
    const bool known = FindKeyType(row.what).has_value() || row.what == "external-key";
    EXPECT_EQ(known, row.offered()) << row.what;
    if (row.offered()) {
      offered.insert(row.what);
    }
  }
  std::set<std::string> types = {"external-key"};
  for (const KeyTypeTraits& traits : AllKeyTypes()) {
    types.insert(std::string(traits.name));
  }
  EXPECT_EQ(offered, types);
}

TEST(CompatibilityPage, SaysHowOrWhyWhereItDiffers) {
  const std::set<std::string> words = {"same", "better", "ours", "not offered"};
  for (const Row& row : AllRows(ReadPage())) {
    EXPECT_TRUE(words.contains(row.compared)) << row.what << ": " << row.compared;
    EXPECT_TRUE(row.compared == "same" || !row.notes.empty()) << row.what << " says no more";
  }
}

}  // namespace
}  // namespace kms::api
