// SPDX-License-Identifier: Apache-2.0
// The calling thread reads; a few threads call the token and send what it answered.
#include "pkcs11/worker_server.h"

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "pkcs11/worker_protocol.h"
#include "pkcs11/worker_socket.h"

namespace kms::pkcs11 {

namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMaxQueued = 1024;
constexpr std::uint32_t kMaxThreads = 64;

template <typename T>
WorkerReplyBody ToReply(Result<T> result) {
  if (!result.has_value()) {
    return WorkerReplyBody(std::move(result).error());
  }
  return WorkerReplyBody(*std::move(result));
}

WorkerReplyBody ToReply(const Status& status) {
  return status.has_value() ? WorkerReplyBody(Done()) : WorkerReplyBody(status.error());
}

// Calls the member of the device that a request names.
class Execute {
 public:
  // What `bound` points to must outlive it.
  Execute(const BoundDevice& bound, Deadline deadline)
      : device_(*bound.device),
        epochs_(bound.epochs),
        resident_keys_(bound.resident_keys),
        deadline_(deadline) {}

  WorkerReplyBody operator()(const HelloRequest& /*request*/) const {
    return InvalidArgument("a second hello");
  }
  WorkerReplyBody operator()(const DescribeRequest& /*request*/) const {
    return ToReply(device_.Describe(deadline_));
  }
  WorkerReplyBody operator()(const GenerateRequest& request) const {
    return ToReply(
        device_.GenerateMasterKey(request.id, request.version, request.label, deadline_));
  }
  WorkerReplyBody operator()(const WrapRequest& request) const {
    return ToReply(device_.Wrap(request.master, request.key, request.context, deadline_));
  }
  WorkerReplyBody operator()(const UnwrapRequest& request) const {
    return ToReply(device_.Unwrap(request.master, request.wrapped, request.context, deadline_));
  }
  WorkerReplyBody operator()(const CheckSentinelRequest& request) const {
    return ToReply(device_.CheckSentinel(request.master, deadline_));
  }
  WorkerReplyBody operator()(const DestroyRequest& request) const {
    return ToReply(device_.DestroyMasterKey(request.master, deadline_));
  }
  WorkerReplyBody operator()(const SignRequest& request) const {
    return ToReply(device_.Sign(request.message, deadline_));
  }
  WorkerReplyBody operator()(const PublicKeyRequest& /*request*/) const {
    return ToReply(device_.SigningPublicKey(deadline_));
  }
  WorkerReplyBody operator()(const RandomRequest& request) const {
    return ToReply(device_.Random(request.size, deadline_));
  }
  WorkerReplyBody operator()(const GenerateImportKeyRequest& request) const {
    return ToReply(device_.GenerateImportKey(request.id, request.label, deadline_));
  }
  WorkerReplyBody operator()(const DecryptImportRequest& request) const {
    return ToReply(
        device_.DecryptImport(request.key, request.hash, request.ciphertext, deadline_));
  }
  WorkerReplyBody operator()(const DestroyImportKeyRequest& request) const {
    return ToReply(device_.DestroyImportKey(request.id, request.label, deadline_));
  }
  WorkerReplyBody operator()(const StatisticsRequest& /*request*/) const {
    return device_.Statistics();
  }
  WorkerReplyBody operator()(const ReadEpochRequest& request) const {
    return epochs_ == nullptr ? NoEpochs() : ToEpoch(epochs_->ReadEpoch(request.id, deadline_));
  }
  WorkerReplyBody operator()(const RaiseEpochRequest& request) const {
    return epochs_ == nullptr
               ? NoEpochs()
               : ToEpoch(epochs_->RaiseEpoch(request.id, request.value, deadline_));
  }
  WorkerReplyBody operator()(const DestroyEpochRequest& request) const {
    return epochs_ == nullptr ? NoEpochs() : ToReply(epochs_->DestroyEpoch(request.id, deadline_));
  }
  WorkerReplyBody operator()(const GenerateResidentRequest& request) const {
    return WithResident([&](ResidentKeyDevice& keys) {
      return keys.GenerateResidentKey(request.id, request.type, request.label, deadline_);
    });
  }
  WorkerReplyBody operator()(const FindResidentRequest& request) const {
    return WithResident([&](ResidentKeyDevice& keys) {
      return keys.FindResidentKey(request.reference, deadline_);
    });
  }
  WorkerReplyBody operator()(const DestroyResidentRequest& request) const {
    return WithResident([&](ResidentKeyDevice& keys) {
      return keys.DestroyResidentKey(request.key, deadline_);
    });
  }
  WorkerReplyBody operator()(const ResidentSignatureRequest& request) const {
    return WithResident([&](ResidentKeyDevice& keys) {
      return keys.ResidentSign(request.key, request.request, deadline_);
    });
  }
  WorkerReplyBody operator()(const ResidentRsaDecryptRequest& request) const {
    return WithResident([&](ResidentKeyDevice& keys) {
      return keys.ResidentRsaDecrypt(request.key, request.hash, request.ciphertext, deadline_);
    });
  }
  WorkerReplyBody operator()(const ResidentEncryptRequest& request) const {
    return WithResident([&](ResidentKeyDevice& keys) {
      return keys.ResidentEncrypt(request.key, request.plaintext, request.aad, deadline_);
    });
  }
  WorkerReplyBody operator()(const ResidentDecryptRequest& request) const {
    return WithResident([&](ResidentKeyDevice& keys) {
      return keys.ResidentDecrypt(request.key, request.ciphertext, request.aad, deadline_);
    });
  }
  WorkerReplyBody operator()(const ResidentAgreeRequest& request) const {
    return WithResident([&](ResidentKeyDevice& keys) {
      return keys.ResidentAgree(request.key, request.peer_public_key, deadline_);
    });
  }

 private:
  template <typename Call>
  [[nodiscard]] WorkerReplyBody WithResident(const Call& call) const {
    if (resident_keys_ == nullptr) {
      return FailedPrecondition("no keys live in this HSM token");
    }
    return ToReply(call(*resident_keys_));
  }
  static WorkerReplyBody NoEpochs() {
    return FailedPrecondition("this HSM token keeps no epochs");
  }
  template <typename Epoch>
  static WorkerReplyBody ToEpoch(Result<Epoch> epoch) {
    return epoch.has_value() ? WorkerReplyBody(EpochReply{.value = *epoch})
                             : WorkerReplyBody(std::move(epoch).error());
  }

  MasterKeyDevice& device_;
  EpochCounter* const epochs_;
  ResidentKeyDevice* const resident_keys_;
  const Deadline deadline_;
};

// Keeps a device whose destructor would never return; the process ends without it.
void LeaveBehind(std::unique_ptr<MasterKeyDevice> device) {
  static auto* const left_behind = new std::vector<std::unique_ptr<MasterKeyDevice>>;  // NOLINT
  left_behind->push_back(std::move(device));
}

// Shared by the reading thread and the calling threads; outlives a stuck one.
// Thread rule: any thread.
class Session {
 public:
  Session(UniqueFd socket, FrameBuffer send_buffer, DeviceMaker make)
      : socket_(std::move(socket)), make_(std::move(make)), send_buffer_(std::move(send_buffer)) {}

  [[nodiscard]] int socket() const { return socket_.get(); }

  // Queues `request`, or answers it at once when it needs no token.
  void Accept(WorkerRequest request) {
    if (std::holds_alternative<StatisticsRequest>(request.body)) {
      Reply(request.id, CurrentStatistics());
      return;
    }
    const Deadline deadline = steady_clock::now() + request.budget;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.size() < kMaxQueued) {
        queue_.push_back({std::move(request), deadline});
        work_.notify_one();
        return;
      }
    }
    Reply(request.id, Unavailable("HSM is busy"));
  }

  // Body of a calling thread.
  void Work() {
    while (std::optional<Job> job = Next()) {
      const std::uint64_t id = job->request.id;
      WorkerReplyBody answer = Answer(*job);
      job.reset();
      Reply(id, std::move(answer));
      const std::lock_guard lock(mutex_);
      --running_;
      idle_.notify_all();
    }
  }

  // Takes no more work, waits for what runs, and unbinds the token. False: a call is stuck.
  bool Stop() {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    queue_.clear();
    work_.notify_all();
    if (!idle_.wait_for(lock, kWorkerDrainTime, [this] { return running_ == 0; })) {
      return false;
    }
    if (IsStuckLocked()) {
      LeaveBehind(std::move(bound_.device));
      return false;
    }
    const BoundDevice unbound = std::exchange(bound_, {});
    lock.unlock();
    return true;
  }

  // Nothing but ending the process helps.
  bool IsStuck() {
    const std::lock_guard lock(mutex_);
    return IsStuckLocked();
  }

  // Answers a request that could not be read.
  void Refuse(std::uint64_t id, Error error) { Reply(id, std::move(error)); }

 private:
  struct Job {
    WorkerRequest request;
    Deadline deadline;
  };

  [[nodiscard]] bool IsStuckLocked() const { return bound_.stuck && bound_.stuck(); }

  std::optional<Job> Next() {
    std::unique_lock lock(mutex_);
    work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) {
      return std::nullopt;
    }
    std::optional<Job> job(std::move(queue_.front()));
    queue_.pop_front();
    ++running_;
    return job;
  }

  WorkerReplyBody Answer(const Job& job) {
    if (const auto* hello = std::get_if<HelloRequest>(&job.request.body)) {
      return ToReply(Bind(hello->token));
    }
    MasterKeyDevice* const device = Device();
    if (device == nullptr) {
      return Unavailable("HSM is starting");
    }
    if (steady_clock::now() >= job.deadline) {
      return Unavailable("HSM is busy", "the request waited in the worker past its deadline");
    }
    return std::visit(Execute(bound_, job.deadline), job.request.body);
  }

  Status Bind(const TokenOptions& options) {
    if (Device() != nullptr) {
      return InvalidArgument("a second hello");
    }
    BoundDevice bound = KMS_TRY(make_(options));
    const std::lock_guard lock(mutex_);
    bound_ = std::move(bound);
    return Ok();
  }

  MasterKeyDevice* Device() {
    const std::lock_guard lock(mutex_);
    return bound_.device.get();
  }

  DeviceStatistics CurrentStatistics() {
    MasterKeyDevice* const device = Device();
    DeviceStatistics statistics;
    if (device == nullptr) {
      statistics.state_reason = "the worker is binding the token";
    } else {
      statistics = device->Statistics();
    }
    const std::lock_guard lock(mutex_);
    statistics.requests_waiting += static_cast<std::uint32_t>(queue_.size());
    return statistics;
  }

  void Reply(std::uint64_t id, WorkerReplyBody body) {
    const std::lock_guard lock(send_mutex_);
    const WorkerReply reply{.id = id, .body = std::move(body)};
    Result<ByteView> frame = EncodeReply(reply, send_buffer_.memory());
    if (!frame.has_value()) {
      frame = EncodeReply({.id = id, .body = frame.error()}, send_buffer_.memory());
    }
    if (frame.has_value()) {
      IgnoreError(SendFrame(socket_.get(), *frame, TransferMode::kMayBlock),
                  "the reading thread sees the end of the connection too");
    }
    send_buffer_.Wipe(frame.has_value() ? frame->size() : kMaxWorkerFrameBytes);
  }

  const UniqueFd socket_;
  const DeviceMaker make_;

  std::mutex send_mutex_;
  FrameBuffer send_buffer_;  // guarded by send_mutex_

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable idle_;
  // Guarded by mutex_.
  std::deque<Job> queue_;
  std::size_t running_ = 0;
  bool stopping_ = false;
  BoundDevice bound_;  // set once; unset when nothing runs any more
};

// Detached, because a stuck one can never be joined; each keeps the session alive.
void StartThreads(const std::shared_ptr<Session>& session, std::uint32_t sessions) {
  const std::uint32_t count = std::min(sessions, kMaxThreads - 2) + 2;
  for (std::uint32_t index = 0; index < count; ++index) {
    std::thread([session] { session->Work(); }).detach();
  }
}

// Judges requests in the order they come: a hello first, and only there.
class Reception {
 public:
  explicit Reception(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  // False: the other end does not speak this protocol.
  bool Take(ByteView frame) {
    const Result<std::uint64_t> id = DecodeRequestId(frame);
    Result<WorkerRequest> request = DecodeRequest(frame);
    if (!request.has_value()) {
      if (greeted_ && id.has_value()) {
        session_->Refuse(*id, request.error());
      }
      return greeted_ && id.has_value();
    }
    const auto* const hello = std::get_if<HelloRequest>(&request->body);
    if (greeted_ == (hello != nullptr)) {
      return false;
    }
    if (hello != nullptr) {
      greeted_ = true;
      StartThreads(session_, hello->token.sessions);
    }
    session_->Accept(*std::move(request));
    return true;
  }

 private:
  const std::shared_ptr<Session> session_;
  bool greeted_ = false;
};

// Reads until the connection ends or breaks the protocol.
int ReadRequests(const std::shared_ptr<Session>& session, FrameBuffer buffer) {
  Reception reception(session);
  while (true) {
    const Result<ByteView> frame = ReceiveFrame(session->socket(), buffer, TransferMode::kMayBlock);
    if (!frame.has_value()) {
      return frame.error().code == ErrorCode::kUnavailable ? kWorkerExitOk : kWorkerExitProtocol;
    }
    const bool understood = reception.Take(*frame);
    buffer.Wipe(frame->size());
    if (!understood) {
      return kWorkerExitProtocol;
    }
    if (session->IsStuck()) {
      return kWorkerExitStuck;
    }
  }
}

}  // namespace

int ServeDevice(int socket, const DeviceMaker& make, const std::function<void()>& on_end) {
  UniqueFd owned(socket);
  Result<FrameBuffer> send_buffer = FrameBuffer::Create();
  Result<FrameBuffer> receive_buffer = FrameBuffer::Create();
  if (!send_buffer.has_value() || !receive_buffer.has_value()) {
    return kWorkerExitProtocol;
  }
  const auto session = std::make_shared<Session>(std::move(owned), *std::move(send_buffer), make);
  const int status = ReadRequests(session, *std::move(receive_buffer));
  on_end();
  return session->Stop() ? status : kWorkerExitStuck;
}

}  // namespace kms::pkcs11
