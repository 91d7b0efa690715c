// SPDX-License-Identifier: Apache-2.0
// LoadGroup: the load loops of all threads, run together and added up.
#pragma once

#include <cstddef>
#include <vector>

#include "kms/base/result.h"
#include "tools/bench/load_loop.h"

namespace kms::tools {

class LoadGroup {
 public:
  // Spreads `connections` over `threads` loops. As LoadLoop::Connect.
  static Result<LoadGroup> Connect(const RequestSet& requests, const ServerAddress& address,
                                   SSL_CTX* ssl_context, std::size_t connections,
                                   std::size_t threads);
  // Runs the plan on every loop, its rate shared out, and returns the sum.
  Result<LoadResult> Run(const LoadPlan& plan);

 private:
  LoadGroup() = default;
  std::vector<LoadLoop> loops_;
};

}  // namespace kms::tools
