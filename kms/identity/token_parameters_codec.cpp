// SPDX-License-Identifier: Apache-2.0
// Token parameters, format 1 (numbers big-endian; text = length(4) | bytes; list = count(4) |
// texts):
//
//   length(4) of the rest | 1 | type(1) | flags(1) | ttl(8) | max ttl(8) | explicit max ttl(8)
//   | period(8) | uses(8) | policies | bound CIDRs
//
//   type: 0 default, 1 service, 2 batch. flags: 1 no default policy, 2 strictly bound to the
//   address.
#include "kms/identity/token_parameters_codec.h"
#include "kms/identity/record_lists.h"

#include <cstdint>
#include <string>
#include <vector>

namespace kms {

namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kNoDefaultPolicy = 1;
constexpr std::uint8_t kStrictlyBindIp = 2;
constexpr std::uint8_t kAllFlags = 3;

}  // namespace

void PutTokenParameters(const TokenParameters& parameters, RecordWriter& writer) {
  RecordWriter inner;
  inner.Put(kFormat);
  inner.Put(static_cast<std::uint8_t>(parameters.type));
  inner.Put(static_cast<std::uint8_t>((parameters.no_default_policy ? kNoDefaultPolicy : 0U) |
                                      (parameters.strictly_bind_ip ? kStrictlyBindIp : 0U)));
  for (const std::int64_t number :
       {parameters.ttl_seconds, parameters.max_ttl_seconds, parameters.explicit_max_ttl_seconds,
        parameters.period_seconds, parameters.num_uses}) {
    inner.Put(number);
  }
  inner.Put(static_cast<std::uint32_t>(parameters.policies.size()));
  for (const std::string& policy : parameters.policies) {
    inner.PutText(policy);
  }
  inner.Put(static_cast<std::uint32_t>(parameters.bound_cidrs.size()));
  for (const CidrBlock& block : parameters.bound_cidrs) {
    inner.PutText(block.ToText());
  }
  writer.PutSized(inner.Take());
}

TokenParameters GetTokenParameters(RecordReader& reader) {
  RecordReader inner(reader.GetSized());
  const bool ours = inner.Get<std::uint8_t>() == kFormat;
  const auto type = inner.Get<std::uint8_t>();
  const auto flags = inner.Get<std::uint8_t>();
  TokenParameters parameters;
  parameters.type = static_cast<GrantedTokenType>(type);
  parameters.no_default_policy = (flags & kNoDefaultPolicy) != 0;
  parameters.strictly_bind_ip = (flags & kStrictlyBindIp) != 0;
  for (std::int64_t* number :
       {&parameters.ttl_seconds, &parameters.max_ttl_seconds, &parameters.explicit_max_ttl_seconds,
        &parameters.period_seconds, &parameters.num_uses}) {
    *number = inner.Get<std::int64_t>();
  }
  parameters.policies = GetTexts(inner);
  for (const std::string& text : GetTexts(inner)) {
    const Result<CidrBlock> block = CidrBlock::Parse(text);
    if (!block.has_value()) {
      inner.Fail();
      break;
    }
    parameters.bound_cidrs.push_back(*block);
  }
  constexpr auto kLastType = static_cast<std::uint8_t>(GrantedTokenType::kBatch);
  if (!ours || type > kLastType || flags > kAllFlags || !inner.Finished()) {
    reader.Fail();
  }
  return parameters;
}

}  // namespace kms
