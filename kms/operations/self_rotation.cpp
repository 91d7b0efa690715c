// SPDX-License-Identifier: Apache-2.0
#include "kms/operations/self_rotation.h"

#include <chrono>
#include <string>

#include "kms/audit/audit_log.h"
#include "kms/audit/record.h"
#include "kms/operations/rotate_key.h"

namespace kms {

namespace {

constexpr std::chrono::seconds kAuditTimeout{10};

// Both records of one rotation.
class Trail {
 public:
  Trail(Environment& environment, const KeyName& name, std::string_view who)
      : environment_(environment),
        path_(environment.identity().name + "/keys/" + name.text() + "/rotate"),
        id_(Uuid::Random().ToString()) {
    record_ = {.type = AuditRecordType::kRequest,
               .time = {},
               .request_id = id_,
               .operation = "update",
               .path = path_,
               .name_space = {},
               .environment = environment.identity().name,
               .key = name.text(),
               .accessor = {},
               .display_name = who,
               .policies = {},
               .remote_address = {},
               .error = {}};
  }

  Status Attempt() { return Write(); }

  Status Outcome(const Result<KeyHandle>& rotated) {
    record_.type = AuditRecordType::kResponse;
    if (rotated.has_value()) {
      record_.key_version = (*rotated)->policy().latest_version;
    } else {
      record_.error = rotated.error().public_message;
    }
    return Write();
  }

 private:
  Status Write() {
    AuditLog* audit = environment_.audit();
    if (audit == nullptr) {
      return Ok();
    }
    record_.time = environment_.clock().Now();
    std::string members;
    AppendAuditMembers(record_, members);
    const AuditTicket ticket = KMS_TRY(audit->Append(members));
    return audit->Await(ticket, environment_.clock().SteadyNow() + kAuditTimeout);
  }

  Environment& environment_;
  const std::string path_;
  const std::string id_;
  AuditRecord record_;
};

}  // namespace

Result<KeyHandle> RotateBySelf(Environment& environment, const KeyName& name,
                               KeyVersionNumber latest, std::string_view who) {
  const ScopedLock lock(environment.self_rotation_mutex());
  KeyHandle current = KMS_TRY(environment.FindKey(name));
  if (current != nullptr && current->policy().latest_version > latest) {
    return current;
  }
  Trail trail(environment, name, who);
  KMS_TRY(trail.Attempt());
  Result<KeyHandle> rotated = RotateKey(environment, name, latest);
  KMS_TRY(trail.Outcome(rotated));
  return rotated;
}

}  // namespace kms
