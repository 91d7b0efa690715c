// SPDX-License-Identifier: Apache-2.0
// AuditGate: an answer's gate ticket is the ticket of its audit record.
#pragma once

#include <utility>

#include "api/front/request_handler.h"
#include "kms/audit/audit_log.h"

namespace kms::api {

// Thread rule: as AuditLog, which must outlive it.
class AuditGate final : public ResponseGate {
 public:
  explicit AuditGate(AuditLog& log) : log_(log) {}

  [[nodiscard]] GateState State(std::uint64_t ticket) const override {
    switch (log_.State(ticket)) {
      case AuditState::kPending: return GateState::kPending;
      case AuditState::kCommitted: return GateState::kOpen;
      case AuditState::kFailed: break;
    }
    return GateState::kFailed;
  }
  void EndOfBatch() override { log_.Wake(); }
  void Subscribe(std::function<void()> listener) override { log_.Subscribe(std::move(listener)); }

 private:
  AuditLog& log_;
};

}  // namespace kms::api
