// SPDX-License-Identifier: Apache-2.0
// ThreadWorkers: HSM workers that are threads over one fake device, so that tests can end them.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "pkcs11/worker_process.h"
#include "pkcs11/worker_server.h"
#include "pkcs11/worker_socket.h"
#include "tests/fakes/fake_master_key_device.h"

namespace kms::testing {

// Passes every call to a device that others hold as well.
class SharedDevice final : public MasterKeyDevice {
 public:
  explicit SharedDevice(std::shared_ptr<MasterKeyDevice> device) : device_(std::move(device)) {}

  Result<DeviceDescription> Describe(Deadline deadline) override {
    return device_->Describe(deadline);
  }
  Result<MasterKeyRecord> GenerateMasterKey(const Uuid& id, std::uint32_t version,
                                            const std::string& label, Deadline deadline) override {
    return device_->GenerateMasterKey(id, version, label, deadline);
  }
  Result<WrappedKey> Wrap(const MasterKeyRecord& master, const SecretBytes& key, ByteView context,
                          Deadline deadline) override {
    return device_->Wrap(master, key, context, deadline);
  }
  Result<SecretBytes> Unwrap(const MasterKeyRecord& master, const WrappedKey& wrapped,
                             ByteView context, Deadline deadline) override {
    return device_->Unwrap(master, wrapped, context, deadline);
  }
  Status CheckSentinel(const MasterKeyRecord& master, Deadline deadline) override {
    return device_->CheckSentinel(master, deadline);
  }
  Status DestroyMasterKey(const MasterKeyRecord& master, Deadline deadline) override {
    return device_->DestroyMasterKey(master, deadline);
  }
  Result<Bytes> Sign(ByteView message, Deadline deadline) override {
    return device_->Sign(message, deadline);
  }
  Result<Bytes> SigningPublicKey(Deadline deadline) override {
    return device_->SigningPublicKey(deadline);
  }
  Result<SecretBytes> Random(std::size_t size, Deadline deadline) override {
    return device_->Random(size, deadline);
  }
  Result<std::optional<ImportKeyRecord>> GenerateImportKey(const Uuid& id, const std::string& label,
                                                           Deadline deadline) override {
    return device_->GenerateImportKey(id, label, deadline);
  }
  Result<SecretBytes> DecryptImport(const ImportKeyRecord& key, HashAlgorithm hash,
                                    ByteView ciphertext, Deadline deadline) override {
    return device_->DecryptImport(key, hash, ciphertext, deadline);
  }
  Status DestroyImportKey(const Uuid& id, const std::string& label, Deadline deadline) override {
    return device_->DestroyImportKey(id, label, deadline);
  }
  [[nodiscard]] DeviceStatistics Statistics() const override { return device_->Statistics(); }

 private:
  const std::shared_ptr<MasterKeyDevice> device_;
};

// Thread rule: any thread. Must outlive the WorkerDevice that uses its launcher.
class ThreadWorkers {
 public:
  ~ThreadWorkers() { device->SetStuck(false); }

  // The device behind every worker; faults go here.
  const std::shared_ptr<FakeMasterKeyDevice> device = std::make_shared<FakeMasterKeyDevice>();
  std::atomic<int> launches = 0;
  // What every worker is said to take.
  std::atomic<std::uint64_t> memory_bytes = 0;

  pkcs11::WorkerLauncher launcher() {
    return [this]() -> Result<std::unique_ptr<pkcs11::WorkerProcess>> {
      ++launches;
      const std::lock_guard lock(mutex_);
      if (launch_error_.has_value()) {
        return *launch_error_;
      }
      pkcs11::SocketPair sockets = KMS_TRY(pkcs11::MakeSocketPair());
      // The server closes its descriptor itself; this copy lets a test cut the connection.
      last_socket_ = UniqueFd(::dup(sockets.theirs.get()));
      return std::unique_ptr<pkcs11::WorkerProcess>(std::make_unique<Worker>(
          std::move(sockets), [this](const pkcs11::TokenOptions&) { return Bind(); },
          memory_bytes));
    };
  }
  // The worker that runs now loses its connection, as one that died.
  void EndWorker() {
    const std::lock_guard lock(mutex_);
    ::shutdown(last_socket_.get(), SHUT_RDWR);
  }
  // Sends `bytes` to kmsd as the worker that runs now would.
  void SendAsWorker(ByteView bytes) {
    const std::lock_guard lock(mutex_);
    ::send(last_socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // The end of the connection that the worker that runs now has; for what goes on while others
  // start.
  UniqueFd WorkerSocket() {
    const std::lock_guard lock(mutex_);
    return UniqueFd(::dup(last_socket_.get()));
  }
  // Workers cannot be started any more, or can again.
  void SetLaunchError(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    launch_error_ = std::move(error);
  }
  // Workers start and refuse their hello, or accept it again.
  void SetBindError(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    bind_error_ = std::move(error);
  }

 private:
  class Worker final : public pkcs11::WorkerProcess {
   public:
    Worker(pkcs11::SocketPair sockets, pkcs11::DeviceMaker make,
           const std::atomic<std::uint64_t>& memory_bytes)
        : socket_(std::move(sockets.ours)),
          memory_bytes_(memory_bytes),
          thread_([this, theirs = std::make_shared<UniqueFd>(std::move(sockets.theirs)),
                   make = std::move(make)] { Serve(theirs->get(), make); }) {}
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() override {
      Close();
      thread_.join();
    }

    [[nodiscard]] int socket() const override { return socket_.get(); }
    void Close() override { ::shutdown(socket_.get(), SHUT_RDWR); }
    void Kill() override { Close(); }
    bool WaitForEnd(Deadline deadline) override {
      std::unique_lock lock(mutex_);
      return ended_.wait_until(lock, deadline, [this] { return status_.has_value(); });
    }
    [[nodiscard]] std::uint64_t MemoryBytes() const override { return memory_bytes_; }
    [[nodiscard]] std::string ending() const override {
      const std::lock_guard lock(mutex_);
      return "exited with status " + std::to_string(status_.value_or(-1));
    }

   private:
    void Serve(int socket, const pkcs11::DeviceMaker& make) {
      const int status = pkcs11::ServeDevice(::dup(socket), make);
      const std::lock_guard lock(mutex_);
      status_ = status;
      ended_.notify_all();
    }

    UniqueFd socket_;
    const std::atomic<std::uint64_t>& memory_bytes_;
    mutable std::mutex mutex_;
    std::condition_variable ended_;
    std::optional<int> status_;  // guarded by mutex_
    std::thread thread_;
  };

  Result<pkcs11::BoundDevice> Bind() {
    const std::lock_guard lock(mutex_);
    if (bind_error_.has_value()) {
      return *bind_error_;
    }
    return pkcs11::BoundDevice{.device = std::make_unique<SharedDevice>(device), .stuck = {}};
  }

  std::mutex mutex_;
  // Guarded by mutex_.
  UniqueFd last_socket_;
  std::optional<Error> launch_error_;
  std::optional<Error> bind_error_;
};

}  // namespace kms::testing
