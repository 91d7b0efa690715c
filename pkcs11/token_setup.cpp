// SPDX-License-Identifier: Apache-2.0
// C_InitToken and C_InitPIN, so that they may be repeated after a crash between them.
#include "pkcs11/token_setup.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "pkcs11/module.h"
#include "pkcs11/session.h"
#include "pkcs11/token_backup.h"
#include "pkcs11/token_lock.h"

namespace kms::pkcs11 {
namespace {

constexpr std::size_t kLabelBytes = 32;
// A worker that outlived its kmsd may still be logging in.
constexpr std::chrono::seconds kLoginLockWait{10};

// Initialised for a scope.
class Initialized {
 public:
  explicit Initialized(const Module& module) : module_(module), rv_(module.Initialize("")) {}
  ~Initialized() { static_cast<void>(module_.Finalize()); }
  Initialized(const Initialized&) = delete;
  Initialized& operator=(const Initialized&) = delete;
  [[nodiscard]] const Rv& rv() const { return rv_; }

 private:
  const Module& module_;
  const Rv rv_;
};

Result<std::vector<TokenFacts>> TokensOf(const Module& module) {
  std::vector<TokenFacts> tokens;
  const Rv rv = module.ListTokens(tokens);
  if (!rv.ok()) return rv.ToError();
  return tokens;
}

Result<TokenFacts> FindOne(const std::vector<TokenFacts>& tokens, const std::string& label) {
  const auto count = std::ranges::count(tokens, label, &TokenFacts::label);
  if (count > 1) {
    return FailedPrecondition("two tokens bear the label; remove one of them", label);
  }
  const auto found = std::ranges::find(tokens, label, &TokenFacts::label);
  if (found == tokens.end()) return NotFound("no token bears the label", label);
  return *found;
}

Status InitializeToken(const Module& module, const std::vector<TokenFacts>& tokens,
                       const std::string& label, const SecretBytes& so_pin) {
  const auto free_slot = std::ranges::find_if(
      tokens, [](const TokenFacts& token) { return (token.flags & CKF_TOKEN_INITIALIZED) == 0; });
  if (free_slot == tokens.end()) {
    return FailedPrecondition("the module has no slot for a new token; remove an unused one");
  }
  std::array<std::uint8_t, kLabelBytes> padded{};
  padded.fill(' ');
  std::ranges::copy(label, padded.begin());
  const Rv rv{module.functions().C_InitToken(free_slot->slot, CkIn(so_pin.View()), so_pin.size(),
                                             padded.data()),
              "C_InitToken"};
  if (!rv.ok()) return rv.ToError();
  return Ok();
}

// Waits for a login under way and puts back what an interrupted one has destroyed.
Result<std::unique_ptr<FileLock>> TakeOverTokens(const TokenOptions& options) {
  const std::string& state = options.softhsm_state_directory;
  if (state.empty()) return std::unique_ptr<FileLock>();
  auto lock = KMS_TRY(
      FileLock::Acquire(LoginLockPath(state), std::chrono::steady_clock::now() + kLoginLockWait));
  const std::string tokens = KMS_TRY(SoftHsmTokenDirectory(options.softhsm_config));
  KMS_TRY(RestoreEmptiedTokens(tokens, state));
  return lock;
}

Status InitializePin(const Module& module, const TokenFacts& token, const SecretBytes& pin,
                     const SecretBytes& so_pin) {
  Session session = KMS_TRY(Session::Open(module, token.slot));
  const Rv login = session.Login(CKU_SO, so_pin);
  if (!login.ok()) return login.ToError();
  const Rv rv{module.functions().C_InitPIN(session.handle(), CkIn(pin.View()), pin.size()),
              "C_InitPIN"};
  if (!rv.ok()) return rv.ToError();
  return Ok();
}

// `half_made` receives the serial number of a token that took neither PIN.
Result<std::string> MakeOrFind(const Module& module, const std::string& label,
                               const SecretBytes& pin, const SecretBytes& so_pin,
                               std::string& half_made) {
  const Initialized initialized(module);
  if (!initialized.rv().ok()) return initialized.rv().ToError();

  auto tokens = KMS_TRY(TokensOf(module));
  auto found = FindOne(tokens, label);
  if (!found.has_value() && found.error().code != ErrorCode::kNotFound) return found.error();
  if (!found.has_value()) {
    KMS_TRY(InitializeToken(module, tokens, label, so_pin));
    tokens = KMS_TRY(TokensOf(module));
    found = FindOne(tokens, label);
  }
  const TokenFacts token = KMS_TRY(std::move(found));
  if ((token.flags & CKF_USER_PIN_INITIALIZED) == 0) {
    const Status initialized_pin = InitializePin(module, token, pin, so_pin);
    if (!initialized_pin.has_value()) {
      half_made = token.serial;
      return initialized_pin.error();
    }
  }
  return token.serial;
}

// Removes what an interrupted C_InitToken left. A token without a user PIN was never used; one that
// holds more than itself is spared all the same.
Status DiscardHalfMade(const TokenOptions& options, const std::string& serial) {
  const std::string tokens = KMS_TRY(SoftHsmTokenDirectory(options.softhsm_config));
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(tokens, error)) {
    std::string name = entry.path().filename().string();
    std::erase(name, '-');
    if (!name.ends_with(serial)) continue;
    std::error_code listing;
    std::filesystem::directory_iterator files(entry.path(), listing);
    const auto objects = std::ranges::count_if(
        files, [](const auto& file) { return file.path().extension() == ".object"; });
    if (listing || objects > 1) {
      return FailedPrecondition("the SoftHSM token has keys but no user PIN; restore it from a "
                                "backup",
                                entry.path().string());
    }
    std::filesystem::remove_all(entry.path(), error);
    return error ? Status(Unavailable("a half-made SoftHSM token cannot be removed",
                                      entry.path().string() + ": " + error.message()))
                 : Ok();
  }
  return NotFound("the half-made SoftHSM token is not in its directory", serial);
}

}  // namespace

Status WriteSoftHsmConfig(const std::string& path, const std::string& token_directory) {
  std::error_code error;
  std::filesystem::create_directories(token_directory, error);
  if (error || ::chmod(token_directory.c_str(), S_IRWXU) != 0) {
    return FailedPrecondition("the token directory cannot be made; check the path's permissions",
                              token_directory);
  }
  std::ofstream file(path, std::ios::trunc);
  file << "directories.tokendir = " << token_directory
       << "\nobjectstore.backend = file\nlog.level = ERROR\nslots.mechanisms = ALL\n";
  file.close();
  if (!file) {
    return FailedPrecondition("the SoftHSM configuration cannot be written; check the path",
                              path + ": " + std::strerror(errno));
  }
  return Ok();
}

Result<std::string> CreateSoftHsmToken(const TokenOptions& options, const SecretBytes& pin,
                                       const SecretBytes& so_pin) {
  if (options.token_label.empty() || options.token_label.size() > kLabelBytes) {
    return InvalidArgument("a token label has 1 to 32 bytes");
  }
  const auto module = KMS_TRY(Module::Load(options.module_path));
  // Whoever dies in C_Login leaves a token that looks absent: one made beside it would hide it for
  // good.
  const auto login_lock = KMS_TRY(TakeOverTokens(options));
  ::setenv("SOFTHSM2_CONF", options.softhsm_config.c_str(), 1);
  std::string half_made;
  auto serial = MakeOrFind(*module, options.token_label, pin, so_pin, half_made);
  if (!serial.has_value() && !half_made.empty()) {
    KMS_TRY(DiscardHalfMade(options, half_made));
    serial = MakeOrFind(*module, options.token_label, pin, so_pin, half_made);
  }
  return serial;
}

}  // namespace kms::pkcs11
