// SPDX-License-Identifier: Apache-2.0
// HsmFleet: the real kmsd on two tokens, of which the second one can be made to fail, and writers
// that keep what they were promised.
//
//   token     module                          environments
//   default   SoftHSM                         sys, dev (the neighbour), transit, and staging
//   hsm-2     the fault shim, or p11-kit's    prod alone, and staging beside default
//             client as a network HSM
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/faulty_module.h"
#include "tests/support/kmsd_process.h"

namespace kms::testing {

// Encrypts with one warm key of an environment, and now and then with a new one, until it is
// stopped; keeps every ciphertext that was acknowledged.
class FleetWriter {
 public:
  FleetWriter(std::unique_ptr<HttpClient> client, std::string environment);
  ~FleetWriter() { Stop(); }
  FleetWriter(const FleetWriter&) = delete;
  FleetWriter& operator=(const FleetWriter&) = delete;

  void Stop();
  // Answers so far, by status; 0 counts broken connections.
  [[nodiscard]] std::map<int, std::uint64_t> Statuses() const;
  [[nodiscard]] std::uint64_t Served() const;
  // Answers other than 200.
  [[nodiscard]] std::uint64_t Failed() const;
  // Status of the newest answer.
  [[nodiscard]] int Last() const { return last_; }
  // What does not decrypt to what was encrypted, one line each. Call after Stop.
  [[nodiscard]] std::vector<std::string> Unreadable(HttpClient& client) const;

 private:
  struct Promise {
    std::string plaintext;  // base64
    std::string ciphertext;
  };
  void Write();
  void Encrypt(const std::string& key, std::uint64_t number);
  void Note(int status);
  bool Pause();  // false: stop

  const std::unique_ptr<HttpClient> client_;
  const std::string environment_;
  std::atomic<int> last_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  // Guarded by mutex_.
  bool stop_ = false;
  std::map<int, std::uint64_t> statuses_;
  std::map<std::string, std::vector<Promise>> promises_;  // by key
  std::thread thread_;
};

class HsmFleet {
 public:
  enum class Second : std::uint8_t { kShim, kNetwork };

  explicit HsmFleet(Second second = Second::kShim) : second_(second) {}
  ~HsmFleet();
  HsmFleet(const HsmFleet&) = delete;
  HsmFleet& operator=(const HsmFleet&) = delete;

  // Makes the tokens, serves and binds the environments. `lease_grace`: "2s" or "forever"; the
  // interval is one second. False with a test failure when something does not work.
  bool Start(const std::string& lease_grace = "2s");
  // Before Start: a merge patch (RFC 7386) of its configuration.
  void Configure(const std::string& patch) { config_patch_ = patch; }
  // Of prod, staging and dev; waits until each is served, unless some are sealed. Those from before
  // a restart are kept: what they were promised still counts.
  void StartWriters(bool all_serve = true);
  void StopWriters();
  // Ends kmsd, which the writers do not survive, and serves the same state again.
  void Stop();
  bool Serve();
  [[nodiscard]] FleetWriter& prod() { return *writers_[0]; }
  [[nodiscard]] FleetWriter& staging() { return *writers_[1]; }
  [[nodiscard]] FleetWriter& neighbour() { return *writers_[2]; }
  // Stops the writers and expects that every acknowledged ciphertext is readable, and that the
  // neighbour saw no failure.
  void ExpectNothingLost();

  [[nodiscard]] KmsdProcess& kmsd() { return kmsd_; }
  [[nodiscard]] FaultyModule& faults() { return *faults_; }
  // What `kmsctl hsm list --json` says of a token; an object without members when it fails.
  [[nodiscard]] nlohmann::json Hsm(const std::string& name);
  // hsm-2's health in an environment, from the same list: "ready", "away", "refused", ...
  [[nodiscard]] std::string Health(const std::string& environment);
  [[nodiscard]] bool IsSealed(const std::string& environment);
  // The line of a metric is there with this value.
  [[nodiscard]] bool HasMetric(const std::string& name_and_labels, const std::string& value);
  [[nodiscard]] bool HasAudit(const std::string& operation);
  // Runs pkcs11-tool on the second token's SoftHSM; the arguments after module, token and PIN.
  // What it says.
  std::string Pkcs11Tool(const std::vector<std::string>& arguments);

  // Of kmsd: `<directory>/kms.json` and what `kmsd dev` keeps.
  [[nodiscard]] std::string config_path() const { return directory_.path() + "/kms.json"; }
  [[nodiscard]] const std::string& state() const { return state_; }
  // The second token's directory, its PIN file.
  [[nodiscard]] std::string tokens() const { return state_ + "/hsm-2/tokens"; }
  [[nodiscard]] std::string pin_file() const { return state_ + "/hsm-2/pin"; }

  // The network HSM's server, its processes.
  void StartServer();
  void SignalServer(int signal);  // to all of its processes
  void KillServer();

 private:
  void WriteConfig(const std::string& lease_grace);
  bool Bind();

  const Second second_;
  TemporaryDirectory directory_;
  const std::string state_ = directory_.path() + "/state";
  const std::string socket_ = directory_.path() + "/p11-kit.sock";
  std::string config_patch_ = "{}";
  KmsdProcess kmsd_{KMS_BINARY_DIR, state_};
  std::unique_ptr<FaultyModule> faults_;
  std::array<std::unique_ptr<FleetWriter>, 3> writers_;
  std::vector<std::unique_ptr<FleetWriter>> ended_writers_;
  pid_t server_ = -1;
};

}  // namespace kms::testing
