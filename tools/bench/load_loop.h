// SPDX-License-Identifier: Apache-2.0
// LoadLoop: one thread's readiness loop over its keep-alive connections.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "kms/base/result.h"
#include "tools/bench/histogram.h"
#include "tools/bench/http_connection.h"
#include "tools/bench/request_set.h"

namespace kms::tools {

// What to send and for how long.
struct LoadPlan {
  Mix mix{1, 0, 0, 0};
  bool ceiling = false;  // the ceiling route instead of the mix
  std::chrono::nanoseconds duration{0};
  std::optional<double> rate;  // requests per second, Poisson; without it every connection is busy
};

struct LoadResult {
  Histogram latency;  // from the scheduled time when the plan has a rate
  std::map<int, std::uint64_t> statuses;
  std::array<std::uint64_t, kBenchVerbs> by_verb{};
  std::uint64_t answers = 0;
  std::uint64_t errors = 0;                  // statuses other than the expected one
  std::uint64_t broken = 0;                  // connections that ended without an answer
  std::uint64_t unanswered = 0;              // still open when the drain ended
  std::uint64_t wrong_plaintexts = 0;        // decrypt answers without the payload
  std::uint64_t longest_queue = 0;           // scheduled requests waiting for a free connection
  std::vector<std::string> sampled_answers;  // of encrypt and rewrap, to be verified later
  std::chrono::nanoseconds elapsed{0};       // until the last answer

  void Add(const LoadResult& other);
};

// Thread rule: one thread at a time. `requests` and `ssl_context` must outlive this object.
class LoadLoop {
 public:
  static Result<LoadLoop> Connect(const RequestSet& requests, const ServerAddress& address,
                                  SSL_CTX* ssl_context, std::size_t connections,
                                  std::uint64_t seed);
  LoadLoop(LoadLoop&& other) noexcept;
  LoadLoop& operator=(LoadLoop&&) = delete;
  ~LoadLoop();

  // Sends by the plan, then waits until every answer is there. Errors: kUnavailable.
  Result<LoadResult> Run(const LoadPlan& plan);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Slot {
    HttpConnection connection;
    Time started;
    BenchVerb verb = BenchVerb::kEncrypt;
    bool busy = false;
    bool watches_write = false;
  };

  LoadLoop(const RequestSet& requests, ServerAddress address, SSL_CTX* ssl_context,
           std::uint64_t seed);
  BenchVerb PickVerb(const LoadPlan& plan);
  Status Start(std::size_t index, Time started, const LoadPlan& plan);
  Status StartDue(const LoadPlan& plan, Time now);
  Status HandleReady(std::size_t index);
  Status Settle(std::size_t index, HttpConnection::Progress progress);
  void RecordAnswer(const Slot& slot, Time now);
  Status Reconnect(std::size_t index);
  Status Watch(std::size_t index, int operation);
  [[nodiscard]] std::chrono::nanoseconds PatienceAt(Time now) const;

  const RequestSet& requests_;
  ServerAddress address_;
  SSL_CTX* ssl_context_;
  int epoll_ = -1;
  std::vector<Slot> slots_;
  std::mt19937_64 random_;
  std::uint64_t sent_ = 0;

  // Of the current run.
  LoadResult result_;
  std::vector<std::size_t> idle_;
  std::deque<Time> due_;  // open loop: scheduled and not yet sent
  Time next_arrival_;
  Time end_;
  std::size_t in_flight_ = 0;
  bool open_loop_ = false;
};

}  // namespace kms::tools
