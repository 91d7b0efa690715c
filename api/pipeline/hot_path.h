// SPDX-License-Identifier: Apache-2.0
// HotPath: the pipeline's steps for encrypt, decrypt, rewrap and datakey on warm keys, run on the
// loop: no SQL, no HSM call, no tree of JSON, memory reused. Anything unusual is left to the pool.
#pragma once

#include <array>
#include <chrono>
#include <span>
#include <string_view>

#include "api/front/request_handler.h"
#include "api/pipeline/crypto_items.h"
#include "api/pipeline/envelope.h"
#include "api/pipeline/metrics.h"
#include "api/pipeline/options.h"
#include "api/pipeline/route.h"

namespace kms::api {

// Thread rule: any thread; what it reuses is kept per thread.
class HotPath {
 public:
  // All must outlive it.
  HotPath(std::span<const Route> routes, const Services& services, Metrics& metrics);

  // As RequestHandler::HandleOnLoop. An answer carries the ticket of its audit record.
  Lane Answer(const HttpRequest& request, HttpResponse& response);

  // Wipes the calling thread's buffers and cipher contexts.
  static void ForgetThreadSecrets();

 private:
  static constexpr std::size_t kVerbs = 5;  // one per HotVerb

  struct Target;
  struct Outcome;
  bool FindTarget(const HttpRequest& request, Target& target) const;
  bool MayAnswer(const HttpRequest& request, std::string_view token, Target& target) const;
  static bool Allowed(Target& target);
  Lane Run(const HttpRequest& request, const Target& target, HttpResponse& response);
  Lane AnswerLimited(const HttpRequest& request, const Target& target,
                     std::chrono::nanoseconds wait, HttpResponse& response);
  Lane Finish(const HttpRequest& request, const Target& target, const RequestId& id,
              const Outcome& outcome, SteadyTime start, HttpResponse& response);
  void ReportFailure(const Result<CryptoResult>& result, const Target& target) const;

  const Services& services_;
  Metrics& metrics_;
  std::array<const Route*, kVerbs> routes_{};
};

}  // namespace kms::api
