// SPDX-License-Identifier: Apache-2.0
#include "kms/crypto/context_cache.h"

#include <algorithm>
#include <vector>

namespace kms::internal {

namespace {

// The caches of all living threads.
struct Registry {
  Mutex mutex;
  std::vector<ContextCache*> caches KMS_GUARDED_BY(mutex);
};

// Never destroyed: threads may end after the program's static objects are gone.
Registry& TheRegistry() {
  static Registry* const registry = new Registry;  // NOLINT: see above
  return *registry;
}

// EVP_CIPHER_CTX_reset zeroes the key schedule before it frees it.
void WipeIf(ContextSlot& slot, AeadId id) {
  const ScopedLock lock(slot.mutex);
  if (slot.keyed_for.load(std::memory_order_relaxed) == id) {
    EVP_CIPHER_CTX_reset(slot.context.get());
    slot.keyed_for.store(0, std::memory_order_relaxed);
  }
}

}  // namespace

ContextCache& ContextCache::OfThisThread() {
  thread_local ContextCache cache;
  return cache;
}

ContextCache::ContextCache() {
  Registry& registry = TheRegistry();
  const ScopedLock lock(registry.mutex);
  registry.caches.push_back(this);
}

ContextCache::~ContextCache() {
  Registry& registry = TheRegistry();
  const ScopedLock lock(registry.mutex);
  std::erase(registry.caches, this);
}

void ContextCache::Forget() {
  for (ContextSlot& slot : slots_) {
    WipeIf(slot, slot.keyed_for.load(std::memory_order_relaxed));
  }
}

void ContextCache::ForgetEverywhere(AeadId id) {
  Registry& registry = TheRegistry();
  const ScopedLock lock(registry.mutex);
  for (ContextCache* cache : registry.caches) {
    ContextSlot& slot = cache->SlotFor(id);
    // A slot that is keyed for another Aead may be busy for long; it is not waited for.
    if (slot.keyed_for.load(std::memory_order_relaxed) == id) {
      WipeIf(slot, id);
    }
  }
}

}  // namespace kms::internal
