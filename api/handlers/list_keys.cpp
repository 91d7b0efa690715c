// SPDX-License-Identifier: Apache-2.0
// LIST keys (transit-api 6.3).
#include "kms/operations/list_keys.h"

#include <algorithm>

#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"

namespace kms::api {

Result<Reply> HandleListKeys(Call& call) {
  const auto limit = static_cast<std::size_t>(
      std::max<std::int64_t>(call.fields.Integer("limit"), 0));  // 0: all
  const std::vector<std::string> names =
      KMS_TRY(ListKeys(*call.environment, call.fields.Text("after"), limit));
  if (names.empty()) {
    return Reply::Absent();
  }
  std::string data = R"({"keys":)";
  JsonArray keys(data);
  for (const std::string& name : names) {
    AppendJsonString(name, keys.Next());
  }
  keys.Close();
  data += '}';
  return Reply::Data(std::move(data));
}

}  // namespace kms::api
