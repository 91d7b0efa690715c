// SPDX-License-Identifier: Apache-2.0
// The verbs of EpochCounter on a real token.
#include <algorithm>
#include <array>
#include <utility>

#include "pkcs11/epoch_object.h"
#include "pkcs11/token.h"
#include "pkcs11/token_impl.h"

namespace kms::pkcs11 {
namespace {

constexpr std::array kForms = {EpochForm::kData, EpochForm::kSecretKey, EpochForm::kKeyPair};

Error NotKept(const Error& error) {
  const bool is_full = error.code == ErrorCode::kResourceExhausted;
  return MakeError(is_full ? error.code : ErrorCode::kUnavailable,
                   "the HSM token did not store its new epoch, the old one stays; it may be full: "
                   "remove objects that nobody needs",
                   error.detail);
}

// Whether another form may be taken where this one was refused.
bool RefusesTheForm(const Session& session) {
  const std::optional<Rv>& failure = session.failure();
  return failure.has_value() && failure->kind() == RvKind::kPolicy;
}

// Some modules report success for what they do not keep: only a session that did not make it says.
bool IsKept(const Connection& connection, Session& caller, const Uuid& id, std::uint64_t value) {
  auto session = Session::OpenBeside(caller, connection.facts().slot);
  if (!session.has_value()) return false;
  const auto read = ReadEpochObjects(*session, id);
  return read.has_value() && read->value == value;
}

// In sessions of their own: a refusal may leave one unusable. The failure goes to the caller's, for
// the judgement whether to try again.
Status MakeInSomeForm(const Connection& connection, Session& caller, const Uuid& id,
                      std::uint64_t value, EpochForm first) {
  Error last = Unavailable("the HSM token keeps no epoch in any form");
  for (auto form : kForms) {
    if (form < first) continue;
    Session session = KMS_TRY(Session::OpenBeside(caller, connection.facts().slot));
    const Status made = MakeEpochObject(session, id, value, form);
    if (made.has_value()) {
      if (IsKept(connection, caller, id, value)) return Ok();
      continue;
    }
    last = made.error();
    if (!RefusesTheForm(session)) {
      if (session.failure().has_value())
        IgnoreError(Status(caller.Fail(*session.failure())), "the text below says more");
      return NotKept(last);
    }
  }
  return last;
}

}  // namespace

Result<std::optional<std::uint64_t>> Token::ReadEpoch(const Uuid& id, Deadline deadline) {
  std::optional<std::uint64_t> epoch;
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    const Rv present = call.connection.CheckPresent();
    if (!present.ok()) return call.session.Fail(present);
    const EpochObjects objects = KMS_TRY(ReadEpochObjects(call.session, id));
    epoch = objects.value;
    return Ok();
  };
  KMS_TRY(impl_->Run({.deadline = deadline}, operation));
  return epoch;
}

Result<std::uint64_t> Token::RaiseEpoch(const Uuid& id, std::uint64_t value, Deadline deadline) {
  std::uint64_t epoch = value;
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    const Rv present = call.connection.CheckPresent();
    if (!present.ok()) return call.session.Fail(present);
    const EpochObjects objects = KMS_TRY(ReadEpochObjects(call.session, id));
    epoch = std::max(value, objects.value.value_or(0));
    if (objects.value.has_value() && *objects.value >= value) return Ok();
    const EpochForm first = objects.value.has_value() ? objects.form : EpochForm::kData;
    KMS_TRY(MakeInSomeForm(call.connection, call.session, id, value, first));
    IgnoreError(DestroyEpochObjects(call.session, id, value),
                "the higher one counts; the next raise tries again");
    return call.connection.BackUp(deadline);
  };
  KMS_TRY(impl_->Run({.deadline = deadline, .changes_objects = true}, operation));
  return epoch;
}

Status Token::DestroyEpoch(const Uuid& id, Deadline deadline) {
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    const Rv present = call.connection.CheckPresent();
    if (!present.ok()) return call.session.Fail(present);
    KMS_TRY(DestroyEpochObjects(call.session, id, std::nullopt));
    return call.connection.BackUp(deadline);
  };
  return impl_->Run({.deadline = deadline, .changes_objects = true}, operation);
}

}  // namespace kms::pkcs11
