// SPDX-License-Identifier: Apache-2.0
#include "tests/support/hsm_fleet.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

namespace kms::testing {

namespace {

using nlohmann::json;

constexpr const char* kSoftHsm = "/usr/lib/softhsm/libsofthsm2.so";
constexpr const char* kNetworkClient = "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so";
constexpr std::chrono::milliseconds kPace{2};
constexpr std::uint64_t kWritesPerNewKey = 100;
constexpr std::size_t kItemsPerDecryption = 500;

json Parse(const std::string& text) {
  return json::parse(text, nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
}

json DataOf(const HttpReply& reply) {
  const json body = Parse(reply.body);
  return body.is_object() && body.contains("data") ? body["data"] : json::object();
}

// Base64 of the last six digits of a number: eight characters without padding.
std::string Plaintext(std::uint64_t number) {
  static constexpr const char* kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string digits = std::to_string(number % 1000000);
  digits.insert(0, 6 - digits.size(), '0');
  std::string text;
  for (std::size_t at = 0; at < digits.size(); at += 3) {
    std::uint32_t bits = 0;
    for (std::size_t index = at; index < at + 3; ++index) {
      bits = bits << 8U | static_cast<unsigned char>(digits[index]);
    }
    for (const unsigned shift : {18U, 12U, 6U, 0U}) {
      text += kAlphabet[bits >> shift & 63U];
    }
  }
  return text;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::istringstream list(
      ReadFile("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children"));
  std::vector<pid_t> children;
  for (pid_t child = 0; list >> child;) {
    children.push_back(child);
  }
  return children;
}

}  // namespace

FleetWriter::FleetWriter(std::unique_ptr<HttpClient> client, std::string environment)
    : client_(std::move(client)),
      environment_(std::move(environment)),
      thread_([this] { Write(); }) {}

void FleetWriter::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

bool FleetWriter::Pause() {
  std::unique_lock lock(mutex_);
  return !stopped_.wait_for(lock, kPace, [this] { return stop_; });
}

void FleetWriter::Note(int status) {
  last_ = status;
  const std::lock_guard lock(mutex_);
  ++statuses_[status];
}

void FleetWriter::Write() {
  std::string newest = "app";
  for (std::uint64_t number = 0; Pause(); ++number) {
    if (number % kWritesPerNewKey == kWritesPerNewKey - 1) {
      const std::string name = "app" + std::to_string(number);
      const int status = client_->Post("/v1/" + environment_ + "/keys/" + name).status;
      Note(status);
      newest = status == 200 ? name : newest;
    }
    Encrypt(number % 2 == 0 ? "app" : newest, number);
  }
}

void FleetWriter::Encrypt(const std::string& key, std::uint64_t number) {
  const std::string plaintext = Plaintext(number);
  const HttpReply reply = client_->Post("/v1/" + environment_ + "/encrypt/" + key,
                                        R"({"plaintext":")" + plaintext + R"("})");
  Note(reply.status);
  if (reply.status == 200) {
    const std::string ciphertext = DataOf(reply).value("ciphertext", "");
    const std::lock_guard lock(mutex_);
    promises_[key].push_back({plaintext, ciphertext});
  }
}

std::map<int, std::uint64_t> FleetWriter::Statuses() const {
  const std::lock_guard lock(mutex_);
  return statuses_;
}

std::uint64_t FleetWriter::Served() const {
  const std::lock_guard lock(mutex_);
  const auto found = statuses_.find(200);
  return found == statuses_.end() ? 0 : found->second;
}

std::uint64_t FleetWriter::Failed() const {
  std::uint64_t failed = 0;
  for (const auto& [status, count] : Statuses()) {
    failed += status == 200 ? 0 : count;
  }
  return failed;
}

std::vector<std::string> FleetWriter::Unreadable(HttpClient& client) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> unreadable;
  for (const auto& [key, promises] : promises_) {
    for (std::size_t begin = 0; begin < promises.size(); begin += kItemsPerDecryption) {
      const std::size_t end = std::min(promises.size(), begin + kItemsPerDecryption);
      json items = json::array();
      for (std::size_t index = begin; index < end; ++index) {
        items.push_back({{"ciphertext", promises[index].ciphertext}});
      }
      const HttpReply reply = client.Post("/v1/" + environment_ + "/decrypt/" + key,
                                          json{{"batch_input", items}}.dump());
      const json results = DataOf(reply).value("batch_results", json::array());
      for (std::size_t index = begin; index < end; ++index) {
        const json result = index - begin < results.size() ? results[index - begin] : json{};
        if (!result.is_object() || result.value("plaintext", "") != promises[index].plaintext) {
          unreadable.push_back(environment_ + "/" + key + ": " + std::to_string(reply.status) +
                               " " + result.dump());
        }
      }
    }
  }
  return unreadable;
}

HsmFleet::~HsmFleet() {
  StopWriters();
  kmsd_.Kill();
  KillServer();
}

bool HsmFleet::Start(const std::string& lease_grace) {
  // The state of `kmsd dev`, with both tokens, is what the service begins with.
  EXPECT_TRUE(kmsd_.Start({"--hsms", "2"})) << kmsd_.Log();
  EXPECT_EQ(kmsd_.Terminate(), 0) << kmsd_.Log();
  if (second_ == Second::kNetwork) {
    StartServer();
  } else {
    faults_ = std::make_unique<FaultyModule>(directory_.path(), kSoftHsm);
  }
  WriteConfig(lease_grace);
  EXPECT_TRUE(kmsd_.Serve(directory_.path() + "/kms.json")) << kmsd_.Log();
  return kmsd_.running() && Bind();
}

void HsmFleet::WriteConfig(const std::string& lease_grace) {
  std::string text;
  EXPECT_EQ(RunProgram({KMS_BINARY_DIR "/kmsd", "dev", "--print-config", "--hsms", "2", "--listen",
                        "127.0.0.1:0", "--state-dir", state_},
                       &text),
            0);
  json config = Parse(text);
  ASSERT_TRUE(config.is_object()) << text;
  config["lease"] = {{"interval", "1s"}, {"grace", lease_grace}};
  config["hsm"]["call_timeout"] = "1s";
  json& second = config["hsms"]["hsm-2"];
  second["call_timeout"] = "1s";
  second["breaker_longest_pause"] = "1s";
  if (second_ == Second::kShim) {
    second["module"] = faults_->path();
  } else {
    second["module"] = kNetworkClient;
    second["network"] = true;
    second["pass_environment"] = "P11_KIT_SERVER_ADDRESS=unix:path=" + socket_;
    second["softhsm_config"] = "";
    second["softhsm_state_directory"] = "";
    second["state_directory"] = directory_.path();
  }
  config.merge_patch(Parse(config_patch_));
  WriteFile(directory_.path() + "/kms.json", config.dump(2));
}

bool HsmFleet::Bind() {
  auto client = kmsd_.NewClient();
  for (const char* environment : {"prod", "staging"}) {
    HttpReply joined;
    EXPECT_TRUE(Eventually([&] {
      joined = client->Post(std::string("/v1/sys/environments/") + environment + "/hsms",
                            R"({"hsm":"hsm-2"})");
      return joined.status == 200;
    })) << joined.body;
  }
  HttpReply left;  // refused until hsm-2 has proved that it opens
  EXPECT_TRUE(Eventually([&] {
    left = client->Send("DELETE", "/v1/sys/environments/prod/hsms/default");
    return left.status == 204;
  })) << left.body;
  for (const char* environment : {"prod", "staging", "dev"}) {
    const HttpReply made = client->Post(std::string("/v1/") + environment + "/keys/app");
    EXPECT_EQ(made.status, 200) << made.body;
  }
  return !::testing::Test::HasFailure();
}

void HsmFleet::StartWriters(bool all_serve) {
  const char* const environments[] = {"prod", "staging", "dev"};
  for (std::size_t index = 0; index < writers_.size(); ++index) {
    if (writers_[index] != nullptr) {
      ended_writers_.push_back(std::move(writers_[index]));
    }
    writers_[index] = std::make_unique<FleetWriter>(kmsd_.NewClient(), environments[index]);
    EXPECT_TRUE(!all_serve || Eventually([&] { return writers_[index]->Served() > 10; }));
  }
}

void HsmFleet::StopWriters() {
  for (const std::unique_ptr<FleetWriter>& writer : writers_) {
    if (writer != nullptr) {
      writer->Stop();
    }
  }
}

void HsmFleet::Stop() {
  StopWriters();
  EXPECT_EQ(kmsd_.Terminate(), 0) << kmsd_.Log();
}

bool HsmFleet::Serve() {
  const bool serves = kmsd_.Serve(config_path());
  EXPECT_TRUE(serves) << kmsd_.Log();
  return serves;
}

void HsmFleet::ExpectNothingLost() {
  StopWriters();
  EXPECT_TRUE(kmsd_.running()) << kmsd_.Log();
  auto client = kmsd_.NewClient();
  const auto expect_readable = [&client](const std::unique_ptr<FleetWriter>& writer) {
    const std::vector<std::string> unreadable = writer->Unreadable(*client);
    EXPECT_TRUE(unreadable.empty()) << unreadable.size() << ", the first: " << unreadable.front();
  };
  std::ranges::for_each(writers_, expect_readable);
  std::ranges::for_each(ended_writers_, expect_readable);
  EXPECT_EQ(neighbour().Failed(), 0U) << "of the neighbour's requests";
}

json HsmFleet::Hsm(const std::string& name) {
  std::string output;
  EXPECT_EQ(RunProgram({KMS_BINARY_DIR "/kmsctl", "hsm", "list", "--json", "--address",
                        "http://127.0.0.1:" + std::to_string(kmsd_.port()), "--token-file",
                        state_ + "/root-token"},
                       &output),
            0)
      << output;
  const json list = Parse(output);
  if (list.is_object() && list.contains("hsms")) {
    for (const json& hsm : list["hsms"]) {
      if (hsm.value("name", "") == name) {
        return hsm;
      }
    }
  }
  return json::object();
}

std::string HsmFleet::Health(const std::string& environment) {
  const json hsm = Hsm("hsm-2");
  if (hsm.contains("environments")) {
    for (const json& part : hsm["environments"]) {
      if (part.value("name", "") == environment) {
        return part.value("state", "");
      }
    }
  }
  return "";
}

bool HsmFleet::IsSealed(const std::string& environment) {
  const json data = DataOf(kmsd_.NewClient()->Get("/v1/sys/environments/status"));
  if (data.contains("environments")) {
    for (const json& status : data["environments"]) {
      if (status.value("name", "") == environment) {
        return status.value("sealed", false);
      }
    }
  }
  ADD_FAILURE() << "no environment " << environment << " in " << data;
  return false;
}

bool HsmFleet::HasMetric(const std::string& name_and_labels, const std::string& value) {
  const HttpReply reply = kmsd_.NewClient()->Get("/v1/sys/metrics?format=prometheus");
  return reply.body.find("\n" + name_and_labels + " " + value + "\n") != std::string::npos;
}

bool HsmFleet::HasAudit(const std::string& operation) {
  return ReadFile(state_ + "/audit.log").find("\"" + operation + "\"") != std::string::npos;
}

std::string HsmFleet::Pkcs11Tool(const std::vector<std::string>& arguments) {
  std::string pin = ReadFile(pin_file());
  pin.erase(pin.find_last_not_of('\n') + 1);
  std::vector<std::string> command = {"/usr/bin/env",
                                      "SOFTHSM2_CONF=" + state_ + "/hsm-2/softhsm2.conf",
                                      "/usr/bin/pkcs11-tool",
                                      "--module",
                                      kSoftHsm,
                                      "--token-label",
                                      "kms-dev-2",
                                      "--login",
                                      "--pin",
                                      pin};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::string output;
  EXPECT_EQ(RunProgram(command, &output), 0) << output;
  return output;
}

void HsmFleet::StartServer() {
  std::filesystem::remove(socket_);
  server_ = SpawnProgram(
      {"/usr/bin/env", "SOFTHSM2_CONF=" + state_ + "/hsm-2/softhsm2.conf", "/usr/bin/p11-kit",
       "server", "-f", "-n", socket_, "--provider", kSoftHsm, "pkcs11:"},
      directory_.path() + "/p11-kit.out", directory_.path() + "/p11-kit.err");
  EXPECT_TRUE(Eventually([this] { return std::filesystem::exists(socket_); }));
}

void HsmFleet::SignalServer(int signal) {
  ASSERT_GT(server_, 0);
  for (const pid_t child : ChildrenOf(server_)) {
    ::kill(child, signal);
  }
  ::kill(server_, signal);
}

void HsmFleet::KillServer() {
  if (server_ > 0) {
    SignalServer(SIGKILL);
    WaitForExit(server_, std::chrono::seconds(5));
    server_ = -1;
  }
}

}  // namespace kms::testing
