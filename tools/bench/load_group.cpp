// SPDX-License-Identifier: Apache-2.0
// One thread for each loop; a single loop runs on the caller's thread.
#include "tools/bench/load_group.h"

#include <optional>
#include <thread>

namespace kms::tools {

Result<LoadGroup> LoadGroup::Connect(const RequestSet& requests, const ServerAddress& address,
                                     SSL_CTX* ssl_context, std::size_t connections,
                                     std::size_t threads) {
  LoadGroup group;
  group.loops_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    const std::size_t share = connections / threads + (i < connections % threads ? 1 : 0);
    group.loops_.push_back(
        KMS_TRY(LoadLoop::Connect(requests, address, ssl_context, share, i + 1)));
  }
  return group;
}

Result<LoadResult> LoadGroup::Run(const LoadPlan& plan) {
  if (loops_.size() == 1) {
    return loops_.front().Run(plan);
  }
  LoadPlan share = plan;
  if (plan.rate.has_value()) {
    share.rate = *plan.rate / static_cast<double>(loops_.size());
  }
  std::vector<std::optional<Result<LoadResult>>> results(loops_.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < loops_.size(); ++i) {
      threads.emplace_back([&, i] { results[i].emplace(loops_[i].Run(share)); });
    }
  }
  LoadResult total;
  for (std::optional<Result<LoadResult>>& result : results) {
    total.Add(KMS_TRY(*std::move(result)));
  }
  return total;
}

}  // namespace kms::tools
