// SPDX-License-Identifier: Apache-2.0
// How many sessions the token grants, and what remains after they, the login or the library's
// state are lost.
#include <algorithm>
#include <array>

#include "kms/base/random.h"
#include "pkcs11/qualification_bench.h"

namespace kms::pkcs11 {
namespace {

// The pool of the service has at most 256; without --disruptive neighbours keep room.
constexpr std::size_t kMostSessions = 260;
constexpr std::size_t kPoliteSessions = 66;
constexpr std::size_t kFewestSessions = 2;  // an anchor and one at work

const ByteView kContext = AsBytes("kms-test");

struct Wrapped {
  QualificationBench::TestKey key;
  SecretBytes secret;
  WrappedKey blob;
};

Result<Wrapped> WrapInToken(QualificationBench& bench) {
  Session session = KMS_TRY(bench.Open());
  Wrapped wrapped;
  wrapped.key = KMS_TRY(bench.MakeKey(session, /*in_token=*/true));
  wrapped.secret = KMS_TRY(SecretBytes::OfSize(32));
  FillRandom(wrapped.secret.MutableView());
  Session wrapper = KMS_TRY(bench.Open());
  wrapped.blob = KMS_TRY(WrapUnder(wrapper, wrapped.key.wrapping(), wrapped.secret, kContext));
  return wrapped;
}

// Finds the key again and opens what it wrapped; returns its handle.
Result<CK_OBJECT_HANDLE> OpensAgain(QualificationBench& bench, const Wrapped& wrapped) {
  Session session = KMS_TRY(bench.Open());
  WrappingKey key = wrapped.key.wrapping();
  key.handle = KMS_TRY(FindMasterKeyObject(session, wrapped.key.id));
  const SecretBytes opened = KMS_TRY(UnwrapUnder(session, key, wrapped.blob, kContext));
  if (opened == wrapped.secret) return key.handle;
  return Corrupted("what was wrapped before opens to something else");
}

// What a session says that the token has closed.
Status LoseSessions(QualificationBench& bench, const Wrapped& wrapped) {
  Session session = KMS_TRY(bench.Open());
  const Rv closed{bench.calls().C_CloseAllSessions(bench.slot()), "C_CloseAllSessions"};
  if (!closed.ok()) {
    bench.Note("lost sessions", "C_CloseAllSessions fails: " + RvName(closed.value));
    return Ok();
  }
  const auto used = UnwrapUnder(session, wrapped.key.wrapping(), wrapped.blob, kContext);
  const auto& failure = session.failure();
  bench.Note("lost sessions", used.has_value()      ? "a closed session still works"
                              : failure.has_value() ? RvName(failure->value)
                                                    : ToldError(used.error()));
  return Ok();
}

}  // namespace

Status QualifySessions(QualificationBench& bench) {
  const std::size_t most = bench.task().disruptive ? kMostSessions : kPoliteSessions;
  std::vector<Session> sessions;
  std::string refusal;
  while (sessions.size() < most) {
    auto session = bench.OpenOwn();
    if (!session.has_value()) {
      refusal = ToldError(session.error());
      break;
    }
    sessions.push_back(std::move(*session));
  }
  // The anchor holds the login.
  const std::size_t granted = sessions.size() + 1;
  const bool capped = !refusal.empty();
  bench.Learn("sessions.granted", std::to_string(granted));
  bench.Learn("sessions.capped", capped ? "yes" : "no");
  const std::string text = capped ? "at most " + std::to_string(granted) + ": " + refusal
                                  : "at least " + std::to_string(granted) + ", no limit met";
  if (granted < kFewestSessions) {
    bench.Bad("granted", text + "; the service needs " + std::to_string(kFewestSessions));
    return Ok();
  }
  bench.Good("granted", text);
  sessions.clear();
  const auto again = bench.OpenOwn();
  if (!again.has_value()) {
    bench.Bad("given back", "closed sessions do not come free: " + ToldError(again.error()));
  } else if (capped) {
    bench.Good("given back", "closed sessions can be opened again");
  }
  return Ok();
}

// The token drops every session of ours: what do their handles say, and does a new login do?
Status QualifySessionLoss(QualificationBench& bench) {
  const Wrapped wrapped = KMS_TRY(WrapInToken(bench));
  KMS_TRY(LoseSessions(bench, wrapped));
  const Rv login = bench.Login(bench.pin());
  const auto opened =
      login.ok() ? OpensAgain(bench, wrapped) : Result<CK_OBJECT_HANDLE>(login.ToError());
  bench.Learn("recovery.login", opened.has_value() ? "enough" : "not enough");
  if (opened.has_value()) {
    bench.Good("after a new login", "master keys are found again");
    return Ok();
  }
  bench.Note("after a new login",
             "not enough, the library must be initialised anew: " + ToldError(opened.error()));
  return bench.Reconnect();
}

// C_Finalize and C_Initialize: the service's way back from a lost device.
Status QualifyReinitialisation(QualificationBench& bench) {
  const Wrapped wrapped = KMS_TRY(WrapInToken(bench));
  const Status reconnected = bench.Reconnect();
  if (!reconnected.has_value()) {
    bench.Bad("initialised anew",
              "the library does not come back: " + ToldError(reconnected.error()));
    return Ok();
  }
  const auto handle = OpensAgain(bench, wrapped);
  if (!handle.has_value()) {
    bench.Bad("initialised anew", "a master key is lost: " + ToldError(handle.error()));
    return Ok();
  }
  bench.Learn("recovery.initialised_anew", "ok");
  bench.Good("initialised anew",
             std::string("the master key is found again, its handle ") +
                 (*handle == wrapped.key.key.handle ? "the same" : "another one"));
  return Ok();
}

// Only with --disruptive: costs one of the few tries that some tokens allow.
Status QualifyWrongPin(QualificationBench& bench) {
  if (!bench.task().disruptive) {
    bench.Note("wrong PIN", "not tried; --disruptive does");
    return Ok();
  }
  constexpr CK_FLAGS kTrouble =
      CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED;
  if ((bench.token().flags & kTrouble) != 0) {
    bench.Note("wrong PIN", "not tried: the token's flags tell of wrong ones already");
    return Ok();
  }
  bench.Disconnect();
  const Rv initialized = bench.Initialize();
  if (!initialized.ok()) return initialized.ToError();
  KMS_TRY(bench.FindToken());
  SecretBytes wrong = KMS_TRY(bench.pin().Clone());
  wrong.MutableView().back() ^= 1U;
  const Rv refused = bench.Login(wrong);
  if (refused.ok()) {
    bench.Bad("wrong PIN", "the token accepts a wrong PIN");
  }
  TokenFacts after;
  static_cast<void>(bench.module().ReadToken(bench.slot(), after));
  KMS_TRY(bench.Reconnect());
  if (refused.ok()) return Ok();
  bench.Note("wrong PIN", RvName(refused.value) + "; the token's flags " +
                              ((after.flags & kTrouble) != 0 ? "tell of it" : "say nothing of it"));
  return Ok();
}

}  // namespace kms::pkcs11
