// SPDX-License-Identifier: Apache-2.0
// HotBody: the loop's decoder of crypto bodies. Accepts only the plain shapes that it is sure of;
// everything else is for the pool, whose answer is the reference (tests compare the two).
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "api/pipeline/crypto_items.h"

namespace kms::api {

// Thread rule: one per thread. Keeps its parser and buffer; Wipe after each use.
class HotBody {
 public:
  HotBody();
  ~HotBody();
  HotBody(const HotBody&) = delete;
  HotBody& operator=(const HotBody&) = delete;

  // Fills `request`, whose `verb` is set, from `body`; false when the shape is anything but: one
  // object without escapes in its strings, every name known and met once, strings where strings
  // belong, integers where integers belong, at most `max_items` items. Views live until Wipe.
  bool Decode(std::string_view body, std::size_t max_items, CryptoRequest& request);

  // Cleans what the last body left behind.
  void Wipe();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kms::api
