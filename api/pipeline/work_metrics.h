// SPDX-License-Identifier: Apache-2.0
// What the service works at by itself, as metrics: long work and the scrub.
#pragma once

#include <string>

namespace kms {
class Scrub;
class TaskRunner;
}  // namespace kms

namespace kms::api {

// Prometheus text exposition; either may be nullptr and says nothing then.
std::string RenderWork(const TaskRunner* tasks, const Scrub* scrub);

}  // namespace kms::api
