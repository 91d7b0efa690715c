// SPDX-License-Identifier: Apache-2.0
#include "kms/base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace kms {

void FillRandom(MutableByteView out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      std::abort();
    }
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace kms
