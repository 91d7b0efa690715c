// SPDX-License-Identifier: Apache-2.0
// MasterKeyDevice: what the domain needs of one HSM token. pkcs11/ implements it twice: by the
// token itself (inside the worker process) and by the client of the worker's protocol (in kmsd).
// tests/fakes/fake_master_key_device.h is its fake; all three pass tests/contract.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kms/base/bytes.h"
#include "kms/base/clock.h"
#include "kms/base/ids.h"
#include "kms/base/result.h"
#include "kms/base/secret_bytes.h"
#include "kms/crypto/hash.h"
#include "kms/master/import_key.h"
#include "kms/master/wrapped_key.h"

namespace kms {

// What a device says of itself; for people, health pages and records.
struct DeviceDescription {
  std::string token_label;
  std::string token_serial;
  std::string module_path;
  std::string module_description;  // library description and version, as the module reports them
  std::vector<WrapMechanism> usable_mechanisms;  // proven by known-answer test, best first
};

enum class DeviceState : std::uint8_t {
  kDown,         // not connected; reconnecting with backoff
  kReady,        // serves
  kLockedOut,    // the PIN was refused; no further login until the operator acts
  kFatalConfig,  // wrong token, ambiguous or missing key, refused attributes; operator must act
};
std::string_view DeviceStateName(DeviceState state);

struct DeviceStatistics {
  DeviceState state = DeviceState::kDown;
  std::string state_reason;  // empty when ready; else what happened and what to do, for operators
  std::uint64_t calls = 0;
  std::uint64_t failed_calls = 0;
  std::uint64_t abandoned_calls = 0;  // outlived their deadline
  std::uint64_t reconnects = 0;       // logins after the first
  std::uint64_t worker_restarts = 0;  // 0 for a device that is not behind a worker
  std::uint32_t sessions_open = 0;
  std::uint32_t sessions_in_use = 0;
  std::uint32_t requests_waiting = 0;
  std::uint64_t worker_replacements = 0;  // of worker_restarts, those above the memory limit
  std::uint64_t worker_memory_bytes = 0;  // resident, of the worker that runs now; 0: unknown
};

// Thread rule: every member may be called from any thread; each call may block up to its deadline.
// Errors of every call: kUnavailable (device away, busy, or deadline passed: retry later),
// kFailedPrecondition (operator must act: PIN, missing or ambiguous master key, attributes),
// kCorrupted (the blob does not authenticate, or the master key is not the recorded one),
// kResourceExhausted (the token has no room for another object; GuardedDevice makes it
// kUnavailable), kInternal.
class MasterKeyDevice {
 public:
  virtual ~MasterKeyDevice() = default;

  virtual Result<DeviceDescription> Describe(Deadline deadline) = 0;

  // Generates an AES-256 (or RSA) master key inside the token: private, sensitive, never
  // extractable, local; refuses and destroys it if the attributes read back differ. The sentinel is
  // made and opened from a fresh session before the record is returned. CKA_ID = id,
  // CKA_LABEL = label. Repeating the call with the same id adopts the key made before.
  virtual Result<MasterKeyRecord> GenerateMasterKey(const Uuid& id, std::uint32_t version,
                                                    const std::string& label,
                                                    Deadline deadline) = 0;

  // Wraps `key` (1..64 bytes) under the recorded master key, bound to `context`; the result has
  // been unwrapped again and compared.
  virtual Result<WrappedKey> Wrap(const MasterKeyRecord& master, const SecretBytes& key,
                                  ByteView context, Deadline deadline) = 0;

  // Opens what Wrap made; never tries another mechanism than the recorded one.
  virtual Result<SecretBytes> Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped,
                                     ByteView context, Deadline deadline) = 0;

  // Opens the record's sentinel and compares in constant time: the HSM is there, the key is the
  // recorded one. kCorrupted when the key silently differs (H13).
  virtual Status CheckSentinel(const MasterKeyRecord& master, Deadline deadline) = 0;

  // Destroys the master key whose CKA_ID is the record's id and whose CKA_LABEL is its label; looks
  // at nothing else of the record. Success when it is already gone. kFailedPrecondition, with
  // nothing destroyed, when the object with that id is no master key or bears another label: callers
  // put in the label that they know of sealed records, for a row of the store may have been changed.
  virtual Status DestroyMasterKey(const MasterKeyRecord& master, Deadline deadline) = 0;

  // ECDSA P-256 over SHA-256 of `message` by the token's audit key (made on first use), DER form.
  virtual Result<Bytes> Sign(ByteView message, Deadline deadline) = 0;
  // SubjectPublicKeyInfo of that key, DER.
  virtual Result<Bytes> SigningPublicKey(Deadline deadline) = 0;

  // 1..4096 bytes of the HSM's generator; callers mix them with the kernel's.
  virtual Result<SecretBytes> Random(std::size_t size, Deadline deadline) = 0;

  // Generates the RSA-4096 key that callers encrypt imported key material to: private, sensitive,
  // never extractable, local, for decryption alone; refused and destroyed if the attributes read
  // back differ. CKA_ID = id, CKA_LABEL = label. Repeating the call with the same id adopts the key
  // made before. nullopt when this token cannot: it makes no such key, or opens nothing that was
  // encrypted to it by RSA-OAEP with SHA-256; nothing stays in the token then. Takes seconds; other
  // calls go on meanwhile.
  virtual Result<std::optional<ImportKeyRecord>> GenerateImportKey(const Uuid& id,
                                                                   const std::string& label,
                                                                   Deadline deadline) = 0;

  // Opens what was encrypted to it by RSA-OAEP with `hash` for hash and mask and no label. More
  // errors: kInvalidArgument "crypto/rsa: decryption error" for whatever does not open, whatever
  // the cause; kInvalidArgument when the record says that the token does not open this hash.
  virtual Result<SecretBytes> DecryptImport(const ImportKeyRecord& key, HashAlgorithm hash,
                                            ByteView ciphertext, Deadline deadline) = 0;

  // Destroys the import key with that id and label, and neither another kind of key nor one of
  // another label: kFailedPrecondition then. Success when it is already gone.
  virtual Status DestroyImportKey(const Uuid& id, const std::string& label, Deadline deadline) = 0;

  // Never blocks and never fails: what is known now.
  virtual DeviceStatistics Statistics() const = 0;
};

}  // namespace kms
