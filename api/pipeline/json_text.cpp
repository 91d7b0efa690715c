// SPDX-License-Identifier: Apache-2.0
#include "api/pipeline/json_text.h"

#include "api/pipeline/json_writer.h"

namespace kms::api {

void AppendJson(JsonView value, std::string& out) {
  switch (value.kind()) {
    case JsonKind::kNull: out += "null"; return;
    case JsonKind::kBoolean: out += value.Boolean() ? "true" : "false"; return;
    case JsonKind::kInteger:
    case JsonKind::kFloat: out += value.Rendered(); return;
    case JsonKind::kString: AppendJsonString(value.String(), out); return;
    case JsonKind::kArray: {
      JsonArray array(out);
      for (std::size_t index = 0; index < value.size(); ++index) {
        AppendJson(value.At(index), array.Next());
      }
      array.Close();
      return;
    }
    case JsonKind::kObject: {
      JsonObject object(out);
      value.ForEachMember([&](std::string_view key, JsonView member) {
        object.Key(key);
        AppendJson(member, out);
      });
      object.Close();
      return;
    }
  }
}

}  // namespace kms::api
