// SPDX-License-Identifier: Apache-2.0
// Warm keys and the secret memory that all environments share.
#include <string>
#include <vector>

#include "tests/kms/operations/world.h"

namespace kms {
namespace {

using testing::IsOk;
using testing::World;

constexpr std::size_t kBlock = std::size_t{16} * 1024;
constexpr std::size_t kFreeBlocks = 6;

// All secret memory but a few blocks.
std::vector<SecretBytes> HoldMost() {
  std::vector<SecretBytes> held;
  while (true) {
    Result<SecretBytes> block = SecretBytes::OfSize(kBlock);
    if (!block.has_value()) {
      break;
    }
    held.push_back(*std::move(block));
  }
  held.resize(held.size() > kFreeBlocks ? held.size() - kFreeBlocks : 0);
  return held;
}

TEST(WarmKeysMemory, KeysOfOneEnvironmentLeaveRoomForAnother) {
  World world;
  world.Start();
  world.Make("busy");
  world.Make("quiet");
  const std::vector<SecretBytes> held = HoldMost();
  for (int key = 0; key < 3000; ++key) {
    ASSERT_THAT(world.MakeKey("busy", "k" + std::to_string(key)), IsOk()) << key;
  }
  ASSERT_THAT(world.MakeKey("quiet", "first"), IsOk());
  EXPECT_THAT(world.FindKey("busy", "k0"), IsOk());
}

}  // namespace
}  // namespace kms
