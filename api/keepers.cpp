// SPDX-License-Identifier: Apache-2.0
#include "api/keepers.h"

#include <algorithm>
#include <array>
#include <stop_token>
#include <string>

#include "api/pause.h"
#include "api/service_log.h"
#include "kms/base/random.h"
#include "kms/operations/auto_rotate.h"

namespace kms::api {
namespace {

// `interval` give or take a tenth, so that the nodes of a service do not work in step.
Milliseconds Jittered(Milliseconds interval) {
  std::array<std::uint8_t, 2> random{};
  FillRandom(random);
  const std::int64_t percent = 90 + (random[0] << 8U | random[1]) % 21;
  return Milliseconds(std::max<std::int64_t>(1, interval.count() / 100 * percent));
}

}  // namespace

RotationKeeper::RotationKeeper(Environments& environments, Milliseconds interval)
    : thread_([&environments, interval](const std::stop_token& stop) {
        AutoRotator rotator(environments, [](std::string_view path, const Error& error) {
          LogError("auto-rotation of " + std::string(path), error);
        });
        Milliseconds pause = interval / 10;
        while (Pause(stop, pause)) {
          const AutoRotateReport report = rotator.Run([&stop] { return stop.stop_requested(); });
          if (report.rotated != 0) {
            LogInfo("auto-rotation made " + std::to_string(report.rotated) + " key versions");
          }
          pause = Jittered(interval);
        }
      }) {}

TidyKeeper::TidyKeeper(Identity& identity, Milliseconds interval)
    : thread_([&identity, interval](const std::stop_token& stop) {
        while (Pause(stop, Jittered(interval))) {
          const std::size_t gone = identity.Tidy(
              [&stop] { return stop.stop_requested(); },
              [](std::string_view what, const Error& error) {
                LogError("tidying up " + std::string(what), error);
              });
          if (gone != 0) {
            LogInfo("tidied up " + std::to_string(gone) + " entries of tokens and logins");
          }
        }
      }) {}

ScrubKeeper::ScrubKeeper(Scrub& scrub)
    : thread_([&scrub](const std::stop_token& stop) {
        Milliseconds pause{0};
        while (Pause(stop, pause)) {
          pause = scrub.Step();
        }
      }) {}

}  // namespace kms::api
