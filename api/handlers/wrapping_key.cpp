// SPDX-License-Identifier: Apache-2.0
// GET wrapping_key (transit-api 6.20).
#include "kms/operations/wrapping_key.h"

#include "api/handlers/handlers.h"
#include "api/pipeline/call.h"
#include "api/pipeline/json_writer.h"
#include "kms/crypto/asymmetric_key.h"
#include "kms/crypto/key_export.h"
#include "kms/operations/wrapping_key_device.h"

namespace kms::api {
namespace {

// The first request makes the key, and so is one that changes state.
Result<Bytes> PublicKeyOrNewOne(Call& call) {
  const std::optional<WrappingKeyPlace> place = KMS_TRY(FindWrappingKeyPlace(*call.environment));
  if (!place) {
    KMS_TRY(call.record_attempt());
  }
  const std::shared_ptr<GuardedDevice> device =
      KMS_TRY(FindWrappingKeyDevice(call.services.environments, *call.environment));
  return WrappingPublicKey(*call.environment, *device);
}

}  // namespace

Result<Reply> HandleWrappingKey(Call& call) {
  const Bytes der = KMS_TRY(PublicKeyOrNewOne(call));
  const AsymmetricKey key =
      KMS_TRY(AsymmetricKey::FromPublicKey(AsymmetricAlgorithm::kRsa4096, der));
  Reply reply;
  JsonObject data(reply.data);
  data.String("public_key", KMS_TRY(PublicKeyText(key)));
  data.Close();
  return reply;
}

}  // namespace kms::api
