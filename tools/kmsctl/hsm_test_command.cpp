// SPDX-License-Identifier: Apache-2.0
// kmsctl hsm test: runs `kmsd hsm-test`, which may load a PKCS#11 library; kmsctl never does.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tools/kmsctl/commands.h"

namespace kms::tools {

namespace {

constexpr const char* kExamples =
    "  kmsctl hsm test --module /usr/lib/softhsm/libsofthsm2.so --token-label kms --pin "
    "file:/etc/kms/pin\n"
    "  kmsctl hsm test --config /etc/kms/kms.json --hsm backup --json\n"
    "\n"
    "Takes the options of `kmsd hsm-test`, which it runs: --module PATH, --token-label LABEL,\n"
    "--token-serial SERIAL, --module-init TEXT, --pin file:PATH, --mechanism NAME,\n"
    "--pass-environment LIST, --softhsm-config FILE, --network, --config FILE, --hsm NAME,\n"
    "--duration 10s, --threads 1,2,4, --skip LIST, --step-timeout 60s, --disruptive, --json, "
    "--quiet.\n"
    "Needs no server. Exit status: 0 usable, 1 not usable, 2 wrong usage.\n";

// The kmsd that lies beside this program; else the one in PATH.
std::string FindServer() {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (size > 0) {
    const std::filesystem::path beside =
        std::filesystem::path(std::string(path.data(), static_cast<std::size_t>(size)))
            .replace_filename("kmsd");
    std::error_code error;
    if (std::filesystem::exists(beside, error)) return beside.string();
  }
  return "kmsd";
}

// Does not return when it succeeds: the report and the exit status are kmsd's.
Status RunTest(const std::vector<std::string>& given, bool json) {
  std::vector<std::string> arguments = {"kmsd", "hsm-test"};
  if (json) arguments.emplace_back("--json");
  arguments.insert(arguments.end(), given.begin(), given.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string server = FindServer();
  ::execvp(server.c_str(), argv.data());
  return FailedPrecondition("cannot run " + server + " (" + std::strerror(errno) +
                            "); install it beside kmsctl or in PATH");
}

}  // namespace

void AddHsmTestCommand(CLI::App& family, Session& session) {
  CLI::App& test =
      AddCommand(family, "test", "Find out whether a PKCS#11 token can be relied on", kExamples);
  // Every option is for kmsd, those of the same name as a global one too.
  test.fallthrough(false);
  test.prefix_command();
  test.callback([&test, &session] {
    session.command = [&test, &session] { return RunTest(test.remaining(), session.options.json); };
  });
}

}  // namespace kms::tools
