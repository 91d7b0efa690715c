// SPDX-License-Identifier: Apache-2.0
// ScriptedFetcher: the fake of DocumentFetcher. Serves documents by URL and fails on demand.
#pragma once

#include <condition_variable>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kms/auth/document_fetcher.h"
#include "kms/auth/outbound_url.h"
#include "kms/base/mutex.h"

namespace kms::testing {

// Thread rule: every member may be called from any thread.
class ScriptedFetcher final : public DocumentFetcher {
 public:
  void Serve(const std::string& url, std::string document) {
    const ScopedLock lock(mutex_);
    documents_[url] = std::move(document);
  }
  // Every fetch fails like a server that is down, until Heal().
  void GoDown() {
    const ScopedLock lock(mutex_);
    down_ = true;
  }
  void Heal() {
    const ScopedLock lock(mutex_);
    down_ = false;
  }
  // Fetches wait until Release().
  void Hold() {
    const ScopedLock lock(mutex_);
    held_ = true;
  }
  void Release() {
    {
      const ScopedLock lock(mutex_);
      held_ = false;
    }
    changed_.notify_all();
  }
  // Blocks until `count` fetches were begun.
  void WaitForFetches(std::size_t count) {
    const ScopedLock lock(mutex_);
    while (urls_.size() < count) {
      changed_.wait(mutex_);
    }
  }

  [[nodiscard]] std::vector<std::string> urls() const {
    const ScopedLock lock(mutex_);
    return urls_;
  }
  [[nodiscard]] std::size_t fetches() const { return urls().size(); }
  // Of the last fetch.
  [[nodiscard]] std::string ca_pem() const {
    const ScopedLock lock(mutex_);
    return ca_pem_;
  }

  Result<std::string> Fetch(const std::string& url, std::string_view ca_pem, std::size_t max_bytes,
                            Deadline /*deadline*/) override {
    KMS_TRY(ParseOutboundUrl(url));
    const ScopedLock lock(mutex_);
    urls_.push_back(url);
    ca_pem_ = std::string(ca_pem);
    changed_.notify_all();
    while (held_) {
      changed_.wait(mutex_);
    }
    const auto found = documents_.find(url);
    if (down_ || found == documents_.end() || found->second.size() > max_bytes) {
      return Unavailable("the document was not fetched: planned by the test");
    }
    return found->second;
  }

 private:
  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, std::string> documents_ KMS_GUARDED_BY(mutex_);
  std::vector<std::string> urls_ KMS_GUARDED_BY(mutex_);
  std::string ca_pem_ KMS_GUARDED_BY(mutex_);
  bool down_ KMS_GUARDED_BY(mutex_) = false;
  bool held_ KMS_GUARDED_BY(mutex_) = false;
};

}  // namespace kms::testing
