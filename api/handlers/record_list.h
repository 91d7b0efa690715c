// SPDX-License-Identifier: Apache-2.0
// Lists of records that have ids, in the form of Vault's lists.
#pragma once

#include <string>
#include <vector>

#include "api/pipeline/json_writer.h"

namespace kms::api {

// {"keys":[id,…],"key_info":{id:…,…}}; `append` writes the JSON value of one record.
template <typename Record, typename Append>
std::string KeysWithInfo(const std::vector<Record>& records, const Append& append) {
  std::string data;
  JsonObject object(data);
  object.Key("keys");
  JsonArray keys(data);
  for (const Record& record : records) {
    AppendJsonString(record.id.ToString(), keys.Next());
  }
  keys.Close();
  object.Key("key_info");
  JsonObject info(data);
  for (const Record& record : records) {
    info.Key(record.id.ToString());
    append(record, data);
  }
  info.Close();
  object.Close();
  return data;
}

}  // namespace kms::api
