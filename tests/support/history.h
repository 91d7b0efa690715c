// SPDX-License-Identifier: Apache-2.0
// The history of what clients asked and were told, and the checker that says whether one honest
// key service could have answered so.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace kms::testing {

enum class Outcome : std::uint8_t {
  kOk,
  kFailed,   // refused with a definite status: it did not happen
  kUnknown,  // the connection broke: it may have happened
};

struct RotateEvent {
  std::chrono::steady_clock::time_point start;
  std::chrono::steady_clock::time_point end;
  std::uint32_t version = 0;  // latest_version in the answer, when kOk
  Outcome outcome = Outcome::kUnknown;
};

struct EncryptEvent {
  std::chrono::steady_clock::time_point start;
  std::chrono::steady_clock::time_point end;
  std::uint32_t version = 0;
  std::string plaintext;   // base64
  std::string ciphertext;  // as returned
};

// Thread-safe recorder.
class History {
 public:
  void Add(const std::string& key, RotateEvent event);
  void Add(const std::string& key, EncryptEvent event);

  [[nodiscard]] std::map<std::string, std::vector<EncryptEvent>> Encryptions() const;

  // Checks the model; each string is one violation, none means the history is possible:
  //  - acknowledged rotations of a key return distinct versions, each above every version that was
  //    acknowledged before it started (no repeat, never back);
  //  - `final_latest` (read at the end, per key) is at least the highest acknowledged version and at
  //    most 1 + acknowledged + unknown rotations (no gap that nobody asked for);
  //  - no encryption used a version above the final latest, nor one below the highest version
  //    acknowledged before the encryption started.
  [[nodiscard]] std::vector<std::string> Check(
      const std::map<std::string, std::uint32_t>& final_latest) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<RotateEvent>> rotations_;
  std::map<std::string, std::vector<EncryptEvent>> encryptions_;
};

}  // namespace kms::testing
