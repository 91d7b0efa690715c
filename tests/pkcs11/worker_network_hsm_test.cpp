// SPDX-License-Identifier: Apache-2.0
// A network HSM (p11-kit's server in front of SoftHSM) whose server dies, restarts and stalls.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/pkcs11/worker_faults.h"
#include "tests/support/p11kit_fixture.h"

namespace kms::pkcs11 {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasError;
using testing::InSeconds;
using testing::IsOk;
using testing::P11KitToken;

class NetworkHsmWorker : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!P11KitToken::IsInstalled()) GTEST_SKIP() << "p11-kit is not installed";
    hsm_ = std::make_unique<P11KitToken>();
    ASSERT_TRUE(hsm_->ok());
    WorkerOptions options = WorkerOptionsFor(hsm_->options());
    options.environment = hsm_->environment();
    options.stuck_call_grace = milliseconds(500);
    auto device = WorkerDevice::Start(std::move(options));
    ASSERT_THAT(device, IsOk());
    device_ = *std::move(device);
    ASSERT_THAT(device_->AwaitReady(InSeconds(30)), IsOk());
    auto master = device_->GenerateMasterKey(Uuid::Random(), 1, "network", InSeconds(60));
    ASSERT_THAT(master, IsOk());
    master_ = *std::move(master);
  }
  void TearDown() override {
    for (const pid_t connection : Connections()) ::kill(connection, SIGCONT);
    device_.reset();
  }

  Status Check(Deadline deadline) { return device_->CheckSentinel(master_, deadline); }
  bool Heals() {
    return Eventually([this] { return Check(InSeconds(2)).has_value(); });
  }
  // The server's children: one per connection.
  std::vector<pid_t> Connections() const {
    std::vector<pid_t> pids;
    if (hsm_ == nullptr) return pids;
    const std::string server = std::to_string(hsm_->server_pid());
    std::ifstream list("/proc/" + server + "/task/" + server + "/children");
    for (pid_t pid = 0; list >> pid;) pids.push_back(pid);
    return pids;
  }

  std::unique_ptr<P11KitToken> hsm_;
  std::unique_ptr<WorkerDevice> device_;
  MasterKeyRecord master_;
};

TEST_F(NetworkHsmWorker, H4_AKilledConnectionHealsAndTheWorkerLives) {
  ASSERT_FALSE(Connections().empty());
  for (const pid_t connection : Connections()) ::kill(connection, SIGKILL);
  const auto start = steady_clock::now();
  EXPECT_TRUE(Heals());
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(6));
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U) << "no SIGPIPE";
  EXPECT_GE(device_->Statistics().reconnects, 1U);
}

TEST_F(NetworkHsmWorker, H4_AServerThatIsGoneForAWhileAndComesBackHeals) {
  const std::vector<pid_t> connections = Connections();
  hsm_->StopServer();
  for (const pid_t connection : connections) ::kill(connection, SIGKILL);
  EXPECT_FALSE(Check(InSeconds(1)).has_value());
  EXPECT_TRUE(Eventually([this] { return device_->Statistics().state == DeviceState::kDown; }));
  hsm_->StartServer();
  ASSERT_TRUE(hsm_->ok());
  EXPECT_TRUE(Heals());
  EXPECT_EQ(device_->Statistics().worker_restarts, 0U);
}

TEST_F(NetworkHsmWorker, H6_AStalledConnectionCostsTheWorkerAndHeals) {
  const std::vector<pid_t> stalled = Connections();
  for (const pid_t connection : stalled) ::kill(connection, SIGSTOP);
  const auto start = steady_clock::now();
  EXPECT_THAT(Check(InMilliseconds(300)), HasError(ErrorCode::kUnavailable));
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_TRUE(Heals()) << "a new worker has a new connection";
  EXPECT_GE(device_->Statistics().worker_restarts, 1U);
  EXPECT_EQ(device_->Statistics().abandoned_calls, 1U);
  for (const pid_t connection : stalled) ::kill(connection, SIGKILL);
}

TEST_F(NetworkHsmWorker, H6_AStalledServerHealsWhenItGoesOn) {
  ::kill(hsm_->server_pid(), SIGSTOP);
  for (const pid_t connection : Connections()) ::kill(connection, SIGSTOP);
  EXPECT_FALSE(Check(InMilliseconds(300)).has_value());
  EXPECT_TRUE(Eventually([this] { return device_->Statistics().worker_restarts >= 1; }));
  EXPECT_FALSE(Check(InMilliseconds(300)).has_value());
  ::kill(hsm_->server_pid(), SIGCONT);
  for (const pid_t connection : Connections()) ::kill(connection, SIGCONT);
  EXPECT_TRUE(Heals());
}

}  // namespace
}  // namespace kms::pkcs11
