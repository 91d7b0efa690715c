// SPDX-License-Identifier: Apache-2.0
// What qualification and its child tell each other: one JSON document a packet.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "kms/base/clock.h"
#include "kms/base/result.h"
#include "pkcs11/qualification.h"

namespace kms::pkcs11 {

// The first packet, to the child.
struct QualificationTask {
  TokenOptions token;
  std::vector<std::uint32_t> threads;
  std::chrono::milliseconds duration{};
  std::vector<std::string> skip;
  bool disruptive = false;
  std::size_t first_step = 0;
  std::map<std::string, std::string> facts;  // learnt by earlier children
};

struct StepBegins {
  std::size_t step = 0;
};
struct LearntFact {
  std::string name;
  std::string value;
};
// Nothing more can be tested, or everything was.
struct TestsEnd {
  bool complete = false;
};
using QualificationMessage = std::variant<StepBegins, Finding, MeasuredRate, LearntFact, TestsEnd>;

Status SendTask(int socket, const QualificationTask& task);
Result<QualificationTask> ReceiveTask(int socket);

Status SendMessage(int socket, const QualificationMessage& message);
// Errors: kUnavailable at the end of the connection, kResourceExhausted at the deadline,
// kInvalidArgument for what SendMessage did not make.
Result<QualificationMessage> ReceiveMessage(int socket, Deadline deadline);

}  // namespace kms::pkcs11
