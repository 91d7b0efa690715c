// SPDX-License-Identifier: Apache-2.0
// config/keys and cache-config (transit-api 6.24, 6.25).
#include <charconv>

#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/fields.h"
#include "api/pipeline/json_writer.h"

namespace kms::api {
namespace {

constexpr std::string_view kCacheSize = "cache_size";

Result<EnvironmentSettings> Store(Call& call, const SettingsChange& change) {
  const EnvironmentName name =
      KMS_TRY(EnvironmentName::Parse(call.environment->identity().name));
  return call.services.environments.Tune(name, change);
}

Reply KeysConfig(bool disable_upsert) {
  std::string data;
  JsonObject object(data);
  object.Boolean("disable_upsert", disable_upsert);
  object.Close();
  return Reply::Data(std::move(data));
}

Reply CacheConfig(std::int64_t size) {
  std::string data;
  JsonObject object(data);
  object.Integer("size", size);
  object.Close();
  return Reply::Data(std::move(data));
}

// The option can be tuned like any other, so it may be no number at all.
std::int64_t CacheSizeOf(const EnvironmentSettings& settings) {
  const auto option = settings.options.find(std::string(kCacheSize));
  std::int64_t size = 0;
  if (option != settings.options.end()) {
    const std::string& text = option->second;
    std::from_chars(text.data(), text.data() + text.size(), size);
  }
  return size;
}

}  // namespace

Result<Reply> HandleReadKeysConfig(Call& call) {
  return KeysConfig(call.environment->settings().disable_upsert);
}

Result<Reply> HandleWriteKeysConfig(Call& call) {
  const std::optional<bool> wanted = call.fields.OptionalBoolean("disable_upsert");
  if (!wanted) {
    return HandleReadKeysConfig(call);
  }
  KMS_TRY(Store(call, [&](EnvironmentSettings& settings) {
    settings.disable_upsert = *wanted;
    return Ok();
  }));
  return KeysConfig(*wanted);
}

// Every warm key is kept; the number is stored for clients that configure it and read it back.
Result<Reply> HandleReadCacheConfig(Call& call) {
  return CacheConfig(CacheSizeOf(call.environment->settings()));
}

Result<Reply> HandleWriteCacheConfig(Call& call) {
  const std::int64_t size = call.fields.Integer("size");
  if (size != 0 && size < 10) {
    return InvalidArgument("size must be 0 or a value greater or equal to 10");
  }
  KMS_TRY(Store(call, [&](EnvironmentSettings& settings) {
    settings.options[std::string(kCacheSize)] = std::to_string(size);
    return Ok();
  }));
  return CacheConfig(size);
}

}  // namespace kms::api
