// SPDX-License-Identifier: Apache-2.0
// How kmsctl waits for long work at the server and shows how far it is.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "kms/base/result.h"
#include "tools/kmsctl/session.h"

namespace kms::tools {

// Asks for the task until it is over: a bar on a terminal, a line now and then otherwise, nothing
// with --json. A server that is away for a while is waited for: the task goes on when it returns.
// Returns the task as it ended. Errors: kFailedPrecondition when it failed or was cancelled, saying
// how it goes on; those of the calls.
Result<nlohmann::json> AwaitTask(Session& session, const std::string& id);

// Starts a task by `body` at `path`, and waits unless `detach`; prints what came of it. With
// dry_run in the body prints the plan.
Status StartAndFollow(Session& session, const std::string& path, const nlohmann::json& body,
                      bool detach);

// A task as name and value lines.
std::string RenderTask(const nlohmann::json& task);

}  // namespace kms::tools
