// SPDX-License-Identifier: Apache-2.0
// The verbs of MasterKeyDevice on a real token.
#include "pkcs11/token.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "pkcs11/token_impl.h"

namespace kms::pkcs11 {
namespace {

constexpr std::size_t kLongestLabel = 32;
constexpr std::size_t kMostRandom = 4096;

std::int64_t UnixNow() { return ToUnixSeconds(SystemClock().Now()); }

Status CheckOptions(const TokenOptions& options) {
  if (options.token_label.empty() || options.token_label.size() > kLongestLabel) {
    return FailedPrecondition("a token label of 1 to 32 bytes must be configured");
  }
  if (options.pin.value.empty()) {
    return FailedPrecondition("a source of the HSM PIN must be configured");
  }
  const auto rows = MechanismTable();
  const bool known = std::ranges::any_of(rows, [&](const MechanismRow& row) {
    return WrapMechanismName(row.mechanism) == options.pinned_mechanism;
  });
  if (!options.pinned_mechanism.empty() && !known) {
    return FailedPrecondition("the configured wrap mechanism is unknown; leave it out to have one "
                              "negotiated",
                              options.pinned_mechanism);
  }
  return Ok();
}

void StampToken(const Connection& connection, WrappedKey& wrapped) {
  wrapped.token_label = connection.facts().label;
  wrapped.token_serial = connection.facts().serial;
  wrapped.created_unix_seconds = UnixNow();
}

// The best proven mechanism that a key made earlier allows.
Result<WrapProfile> ProfileForFoundKey(const Connection& connection, Session& session,
                                       CK_OBJECT_HANDLE key) {
  const KeyUsage usage = KMS_TRY(ReadKeyUsage(session, key));
  const bool rsa = KMS_TRY(IsRsaKey(session, key));
  for (const WrapProfile& profile : connection.negotiated().usable) {
    const bool wants_rsa = UsesRsa(profile.mechanism);
    if (RowOf(profile.mechanism).usage == usage && wants_rsa == rsa) return profile;
  }
  // Nobody gives up for a fault that may end.
  for (const WrapProfile& profile : connection.negotiated().missing) {
    if (RowOf(profile.mechanism).usage != usage || UsesRsa(profile.mechanism) != rsa) continue;
    // The token is there and serves what it can: as one that is full.
    return MakeError(ErrorCode::kResourceExhausted,
                     "the HSM token has this master key already, and now fails the test of " +
                         std::string(WrapMechanismName(profile.mechanism)) +
                         ", which it passed before; it is tested again, retry later");
  }
  return FailedPrecondition("the HSM token has this master key already, for a mechanism that it no "
                            "longer passes the test of; remove the key or restore the mechanism");
}

struct FreshKey {
  GeneratedKey key;
  WrapProfile profile;
};

// Some tokens take the extra attributes for session keys alone.
Result<GeneratedKey> GenerateWithBestExtras(const Connection& connection, Session& session,
                                            const MasterKeyTemplate& wanted) {
  const ExtraAttributes extras = connection.negotiated().extras;
  if (extras != ExtraAttributes::kNone) {
    Session attempt = KMS_TRY(Session::OpenBeside(session, connection.facts().slot));
    auto generated = GenerateMasterKeyObject(attempt, wanted, extras);
    if (generated.has_value()) return generated;
  }
  return GenerateMasterKeyObject(session, wanted, ExtraAttributes::kNone);
}

Result<FreshKey> MakeKey(const Connection& connection, Session& session,
                         const MasterKeyTemplate& wanted) {
  const Rv present = connection.CheckPresent();
  if (!present.ok()) return session.Fail(present);
  FreshKey fresh{.key = {}, .profile = connection.negotiated().usable.front()};
  fresh.key = KMS_TRY(GenerateWithBestExtras(connection, session, wanted));
  const Status good = CheckMasterKeyAttributes(session, fresh.key.handle,
                                               connection.DemandsFor(wanted.mechanism));
  if (good.has_value()) return fresh;
  IgnoreError(DestroyMasterKeyObjects(session, wanted.id, wanted.label),
              "the refusal is what matters");
  return good.error();
}

Result<FreshKey> AdoptOrMakeKey(const Connection& connection, Session& session,
                                MasterKeyTemplate wanted) {
  const auto found = FindMasterKeyObject(session, wanted.id);
  if (!found.has_value()) {
    if (found.error().code != ErrorCode::kNotFound) return found.error();
    wanted.mechanism = connection.negotiated().usable.front().mechanism;
    return MakeKey(connection, session, wanted);
  }
  // Before its usage: a key that may leave the token is no master key whatever it may do (H16).
  KMS_TRY(CheckSecrecyAttributes(session, *found, connection.DemandsFor(wanted.mechanism).local));
  FreshKey adopted;
  adopted.profile = KMS_TRY(ProfileForFoundKey(connection, session, *found));
  KMS_TRY(CheckMasterKeyAttributes(session, *found,
                                   connection.DemandsFor(adopted.profile.mechanism)));
  adopted.key.handle = *found;
  if (UsesRsa(adopted.profile.mechanism)) {
    adopted.key.public_key = KMS_TRY(ReadRsaPublicKey(session, wanted.id));
  }
  return adopted;
}

// The record of a key in the token, with a sentinel that a fresh session has opened.
Status RecordKey(Connection& connection, Session& session, const FreshKey& fresh,
                 MasterKeyRecord& record) {
  record.mechanism = fresh.profile.mechanism;
  record.gcm_layout = fresh.profile.gcm_layout;
  record.unwrap_needs_value_length = fresh.profile.unwrap_needs_value_length;
  record.token_label = connection.facts().label;
  record.token_serial = connection.facts().serial;
  record.module_description = connection.module_description();
  record.public_key = fresh.key.public_key;
  record.created_unix_seconds = UnixNow();
  const WrappingKey wrapping{.handle = fresh.key.handle,
                             .profile = fresh.profile,
                             .public_key = record.public_key};
  record.sentinel = KMS_TRY(WrapSentinel(session, wrapping, record.id));
  record.sentinel.master_key_id = record.id;
  record.sentinel.master_key_version = record.version;
  StampToken(connection, record.sentinel);
  KMS_TRY(connection.SignWrap(session, record.sentinel, SentinelContext(record.id)));
  Session fresh_session = KMS_TRY(Session::OpenBeside(session, connection.facts().slot));
  return OpenSentinel(fresh_session, fresh.key.handle, record);
}

WrappingKey WrappingKeyOf(const MasterKeyRecord& master, CK_OBJECT_HANDLE handle) {
  return {.handle = handle, .profile = ProfileOf(master), .public_key = master.public_key};
}

Status CheckBelongs(const MasterKeyRecord& master, const WrappedKey& wrapped) {
  if (wrapped.master_key_id == master.id && wrapped.master_key_version == master.version) {
    return Ok();
  }
  return Corrupted("the key was wrapped by another master key than the one given");
}

}  // namespace

Token::Token(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Token::~Token() = default;

Result<std::unique_ptr<Token>> Token::Start(TokenOptions options, TokenTimings timings) {
  KMS_TRY(CheckOptions(options));
  if (!options.softhsm_config.empty()) {
    ::setenv("SOFTHSM2_CONF", options.softhsm_config.c_str(), 1);
  }
  auto module = KMS_TRY(Module::Load(options.module_path));
  return std::unique_ptr<Token>(
      new Token(std::make_unique<Impl>(std::move(module), std::move(options), timings)));
}

Status Token::AwaitReady(Deadline deadline) { return impl_->AwaitReady(deadline); }
bool Token::stuck() const { return impl_->stuck(); }
DeviceStatistics Token::Statistics() const { return impl_->Statistics(); }

Result<DeviceDescription> Token::Describe(Deadline deadline) {
  DeviceDescription description;
  const auto operation = [&](Connection& connection) -> Status {
    description = {.token_label = connection.facts().label,
                   .token_serial = connection.facts().serial,
                   .module_path = connection.module().path(),
                   .module_description = connection.module_description(),
                   .usable_mechanisms = {}};
    for (const WrapProfile& profile : connection.negotiated().usable) {
      description.usable_mechanisms.push_back(profile.mechanism);
    }
    return Ok();
  };
  KMS_TRY(impl_->RunOnConnection(deadline, operation));
  return description;
}

Result<MasterKeyRecord> Token::GenerateMasterKey(const Uuid& id, std::uint32_t version,
                                                 const std::string& label, Deadline deadline) {
  MasterKeyRecord record;
  record.id = id;
  record.version = version;
  record.label = label;
  const Impl::Operation operation = [&](const Impl::CallContext& context) -> Status {
    const FreshKey key = KMS_TRY(
        AdoptOrMakeKey(context.connection, context.session, {.id = id, .label = label}));
    KMS_TRY(RecordKey(context.connection, context.session, key, record));
    context.connection.KeepBound(record, key.key.handle);
    return context.connection.BackUp(deadline);
  };
  KMS_TRY(impl_->Run({.deadline = deadline, .changes_objects = true}, operation));
  impl_->Remember(record);
  return record;
}

Result<WrappedKey> Token::Wrap(const MasterKeyRecord& master, const SecretBytes& key,
                               ByteView context, Deadline deadline) {
  WrappedKey wrapped;
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    wrapped = KMS_TRY(WrapUnder(call.session, WrappingKeyOf(master, call.master), key, context));
    wrapped.master_key_id = master.id;
    wrapped.master_key_version = master.version;
    StampToken(call.connection, wrapped);
    return call.connection.SignWrap(call.session, wrapped, context);
  };
  KMS_TRY(impl_->Run({.deadline = deadline, .master = &master}, operation));
  // Opened again before anybody stores it (H20).
  const auto opened = Unwrap(master, wrapped, context, deadline);
  if (opened.has_value() && *opened == key) return wrapped;
  if (!opened.has_value() && opened.error().code != ErrorCode::kCorrupted) return opened.error();
  return Unavailable("the HSM does not open what it wrapped a moment ago; nothing was stored, "
                     "retry later and have the HSM checked",
                     opened.has_value() ? "other bytes" : opened.error().detail);
}

Result<SecretBytes> Token::Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped,
                                  ByteView context, Deadline deadline) {
  SecretBytes key;
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    KMS_TRY(CheckBelongs(master, wrapped));
    // Before the token opens anything that somebody else may have made.
    KMS_TRY(call.connection.CheckWrap(call.session, wrapped, context));
    key = KMS_TRY(
        UnwrapUnder(call.session, WrappingKeyOf(master, call.master), wrapped, context));
    return Ok();
  };
  KMS_TRY(impl_->Run({.deadline = deadline, .master = &master, .opens_blob = true}, operation));
  return key;
}

Status Token::CheckSentinel(const MasterKeyRecord& master, Deadline deadline) {
  return impl_->Run({.deadline = deadline, .master = &master, .opens_blob = true},
                    [&](const Impl::CallContext& call) {
                      return OpenSentinel(call.session, call.master, master);
                    });
}

Status Token::DestroyMasterKey(const MasterKeyRecord& master, Deadline deadline) {
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    const Rv present = call.connection.CheckPresent();
    if (!present.ok()) return call.session.Fail(present);
    call.connection.ForgetKey(master.id);
    KMS_TRY(DestroyMasterKeyObjects(call.session, master.id, master.label));
    return call.connection.BackUp(deadline);
  };
  KMS_TRY(impl_->Run({.deadline = deadline, .changes_objects = true}, operation));
  impl_->ForgetMaster(master.id);
  return Ok();
}

Result<Bytes> Token::Sign(ByteView message, Deadline deadline) {
  Bytes signature;
  const auto operation = [&](Connection& connection) -> Status {
    Signer* const signer = KMS_TRY(connection.SigningKey(deadline));
    signature = KMS_TRY(signer->Sign(message, connection.objects()));
    return Ok();
  };
  KMS_TRY(impl_->RunOnConnection(deadline, operation));
  return signature;
}

Result<Bytes> Token::SigningPublicKey(Deadline deadline) {
  Bytes public_key;
  const auto operation = [&](Connection& connection) -> Status {
    const Signer* const signer = KMS_TRY(connection.SigningKey(deadline));
    public_key = signer->public_key();
    return Ok();
  };
  KMS_TRY(impl_->RunOnConnection(deadline, operation));
  return public_key;
}

Result<SecretBytes> Token::Random(std::size_t size, Deadline deadline) {
  if (size == 0 || size > kMostRandom) {
    return InvalidArgument("1 to 4096 random bytes may be asked for");
  }
  SecretBytes random;
  const Impl::Operation operation = [&](const Impl::CallContext& call) -> Status {
    random = KMS_TRY(call.session.Random(size));
    return Ok();
  };
  KMS_TRY(impl_->Run({.deadline = deadline}, operation));
  return random;
}

}  // namespace kms::pkcs11
