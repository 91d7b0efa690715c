// SPDX-License-Identifier: Apache-2.0
// ServeDevice over a raw socket: what a worker answers, and with which status it ends.
#include "pkcs11/worker_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "pkcs11/worker_protocol.h"
#include "pkcs11/worker_socket.h"
#include "tests/support/matchers.h"
#include "tests/support/thread_worker.h"

namespace kms::pkcs11 {

namespace {

using testing::FakeMasterKeyDevice;
using testing::IsOk;

class WorkerServer : public ::testing::Test {
 protected:
  WorkerServer() {
    SocketPair sockets = MakeSocketPair().value();
    socket_ = std::move(sockets.ours);
    status_ = std::async(std::launch::async, [this, theirs = ::dup(sockets.theirs.get())] {
      return ServeDevice(theirs, [this](const TokenOptions&) -> Result<BoundDevice> {
        return BoundDevice{.device = std::make_unique<testing::SharedDevice>(device_),
                           .stuck = [this] { return stuck_.load(); }};
      });
    });
  }
  ~WorkerServer() override {
    socket_.Close();
    device_->SetStuck(false);
    if (status_.valid()) {
      status_.wait();
    }
  }

  void Send(std::uint64_t id, const WorkerRequestBody& body) {
    Bytes buffer(kMaxWorkerFrameBytes);
    SendRaw(EncodeRequest(id, std::chrono::seconds(10), body, buffer).value());
  }
  void SendRaw(ByteView frame) {
    ASSERT_THAT(SendFrame(socket_.get(), frame, TransferMode::kMayBlock), IsOk());
  }
  WorkerReply Receive() {
    const auto frame = ReceiveFrame(socket_.get(), buffer_, TransferMode::kMayBlock);
    EXPECT_THAT(frame, IsOk());
    return DecodeReply(frame.value_or(ByteView())).value_or(WorkerReply{});
  }
  void Greet() {
    Send(1, HelloRequest());
    const WorkerReply reply = Receive();
    ASSERT_EQ(reply.id, 1U);
    ASSERT_TRUE(std::holds_alternative<Done>(reply.body));
  }
  int ExitStatus() { return status_.get(); }

  const std::shared_ptr<FakeMasterKeyDevice> device_ = std::make_shared<FakeMasterKeyDevice>();
  std::atomic<bool> stuck_ = false;
  UniqueFd socket_;

 private:
  FrameBuffer buffer_ = FrameBuffer::Create().value();
  std::future<int> status_;
};

TEST_F(WorkerServer, EndsWellWhenTheOtherEndCloses) {
  Greet();
  socket_.Close();
  EXPECT_EQ(ExitStatus(), kWorkerExitOk);
}

TEST_F(WorkerServer, EndsWhenTheFirstMessageIsNoHello) {
  Send(1, DescribeRequest());
  EXPECT_EQ(ExitStatus(), kWorkerExitProtocol);
}

TEST_F(WorkerServer, EndsAtASecondHello) {
  Greet();
  Send(2, HelloRequest());
  EXPECT_EQ(ExitStatus(), kWorkerExitProtocol);
}

TEST_F(WorkerServer, EndsAtAnotherProtocolVersion) {
  SendRaw(Bytes(20, kWorkerProtocolVersion + 1));
  EXPECT_EQ(ExitStatus(), kWorkerExitProtocol);
}

TEST_F(WorkerServer, EndsAtAFrameThatIsTooLarge) {
  Greet();
  SendRaw(Bytes(kMaxWorkerFrameBytes + 1, 1));
  EXPECT_EQ(ExitStatus(), kWorkerExitProtocol);
}

TEST_F(WorkerServer, AnswersARequestItCannotRead) {
  Greet();
  Bytes buffer(kMaxWorkerFrameBytes);
  Bytes frame =
      CopyOf(EncodeRequest(7, std::chrono::seconds(1), RandomRequest{.size = 8}, buffer).value());
  frame.push_back(0);
  SendRaw(frame);
  const WorkerReply reply = Receive();
  EXPECT_EQ(reply.id, 7U);
  EXPECT_EQ(std::get<Error>(reply.body).code, ErrorCode::kInvalidArgument);
  Send(8, RandomRequest{.size = 8});
  EXPECT_TRUE(std::holds_alternative<SecretBytes>(Receive().body));
}

TEST_F(WorkerServer, AnswersStatisticsWhileACallHangs) {
  Greet();
  device_->SetStuck(true);
  Send(2, RandomRequest{.size = 8});
  Send(3, StatisticsRequest());
  const WorkerReply reply = Receive();
  EXPECT_EQ(reply.id, 3U);
  EXPECT_TRUE(std::holds_alternative<DeviceStatistics>(reply.body));
}

TEST_F(WorkerServer, RefusesARequestWhoseDeadlineHasPassed) {
  Greet();
  Bytes buffer(kMaxWorkerFrameBytes);
  SendRaw(EncodeRequest(2, std::chrono::milliseconds(0), RandomRequest{.size = 8}, buffer).value());
  EXPECT_EQ(std::get<Error>(Receive().body).code, ErrorCode::kUnavailable);
  EXPECT_EQ(device_->calls(), 0U);
}

TEST_F(WorkerServer, H6_EndsAsStuckWhenACallDoesNotReturn) {
  Greet();
  device_->SetStuck(true);
  Send(2, RandomRequest{.size = 8});
  while (device_->calls() == 0) {  // bounded by the test's own time limit
    std::this_thread::yield();
  }
  socket_.Close();
  EXPECT_EQ(ExitStatus(), kWorkerExitStuck);
}

TEST_F(WorkerServer, H6_EndsAsStuckWhenTheDeviceSaysSo) {
  Greet();
  stuck_ = true;
  Send(2, StatisticsRequest());
  EXPECT_EQ(ExitStatus(), kWorkerExitStuck);
}

}  // namespace

}  // namespace kms::pkcs11
