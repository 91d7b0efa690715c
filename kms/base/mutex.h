// SPDX-License-Identifier: Apache-2.0
// Mutexes that clang's thread-safety analysis understands (libstdc++'s own are not annotated).
#pragma once

#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define KMS_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define KMS_THREAD_ATTRIBUTE(x)
#endif

#define KMS_CAPABILITY(name) KMS_THREAD_ATTRIBUTE(capability(name))
#define KMS_SCOPED_CAPABILITY KMS_THREAD_ATTRIBUTE(scoped_lockable)
#define KMS_GUARDED_BY(mutex) KMS_THREAD_ATTRIBUTE(guarded_by(mutex))
#define KMS_REQUIRES(mutex) KMS_THREAD_ATTRIBUTE(requires_capability(mutex))
#define KMS_REQUIRES_SHARED(mutex) KMS_THREAD_ATTRIBUTE(requires_shared_capability(mutex))
#define KMS_ACQUIRE(...) KMS_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define KMS_ACQUIRE_SHARED(...) KMS_THREAD_ATTRIBUTE(acquire_shared_capability(__VA_ARGS__))
#define KMS_RELEASE(...) KMS_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define KMS_EXCLUDES(mutex) KMS_THREAD_ATTRIBUTE(locks_excluded(mutex))

namespace kms {

class KMS_CAPABILITY("mutex") Mutex {
 public:
  void lock() KMS_ACQUIRE() { mutex_.lock(); }
  void unlock() KMS_RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class KMS_CAPABILITY("shared_mutex") SharedMutex {
 public:
  void lock() KMS_ACQUIRE() { mutex_.lock(); }
  void unlock() KMS_RELEASE() { mutex_.unlock(); }
  void lock_shared() KMS_ACQUIRE_SHARED() { mutex_.lock_shared(); }
  void unlock_shared() KMS_THREAD_ATTRIBUTE(release_shared_capability()) { mutex_.unlock_shared(); }

 private:
  std::shared_mutex mutex_;
};

// Holds a Mutex or SharedMutex exclusively for a scope. Works with std::condition_variable_any.
template <typename MutexType>
class KMS_SCOPED_CAPABILITY ScopedLock {
 public:
  explicit ScopedLock(MutexType& mutex) KMS_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~ScopedLock() KMS_RELEASE() { mutex_.unlock(); }
  ScopedLock(const ScopedLock&) = delete;
  ScopedLock& operator=(const ScopedLock&) = delete;

 private:
  MutexType& mutex_;
};

// Holds a SharedMutex shared for a scope.
class KMS_SCOPED_CAPABILITY ScopedSharedLock {
 public:
  explicit ScopedSharedLock(SharedMutex& mutex) KMS_ACQUIRE_SHARED(mutex) : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ~ScopedSharedLock() KMS_RELEASE() { mutex_.unlock_shared(); }
  ScopedSharedLock(const ScopedSharedLock&) = delete;
  ScopedSharedLock& operator=(const ScopedSharedLock&) = delete;

 private:
  SharedMutex& mutex_;
};

}  // namespace kms
