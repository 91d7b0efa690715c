// SPDX-License-Identifier: Apache-2.0
// POST hash(/:algorithm), also as sys/tools/hash (transit-api 6.14).
#include "kms/operations/hash.h"

#include "api/handlers/base64_input.h"
#include "api/handlers/handlers.h"
#include "api/handlers/output_format.h"
#include "api/pipeline/call.h"

namespace kms::api {

Result<Reply> HandleHash(Call& call) {
  if (!call.fields.Has("input")) {
    return InvalidArgument("input missing");
  }
  PlaintextBuffer input;
  KMS_TRY(DecodeInput(call.fields.Text("input"), input));
  const OutputFormat format = KMS_TRY(ParseOutputFormat(call.fields.Text("format")));
  const HashValue sum = KMS_TRY(Hash(call.fields.Text("algorithm"), input.View()));
  std::string out = R"({"sum":")";
  AppendFormatted(sum.View(), format, out);
  out += "\"}";
  return Reply::Data(std::move(out));
}

}  // namespace kms::api
