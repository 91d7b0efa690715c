// SPDX-License-Identifier: Apache-2.0
// C_InitToken and C_InitPIN, so that they may be repeated after a crash between them.
#include "pkcs11/token_setup.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "pkcs11/module.h"
#include "pkcs11/session.h"

namespace kms::pkcs11 {
namespace {

constexpr std::size_t kLabelBytes = 32;

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

Result<std::string> CreateSoftHsmToken(const std::string& module_path,
                                       const std::string& softhsm_config, const std::string& label,
                                       const SecretBytes& pin, const SecretBytes& so_pin) {
  if (label.empty() || label.size() > kLabelBytes) {
    return InvalidArgument("a token label has 1 to 32 bytes");
  }
  const auto module = KMS_TRY(Module::Load(module_path));
  ::setenv("SOFTHSM2_CONF", softhsm_config.c_str(), 1);
  const Initialized initialized(*module);
  if (!initialized.rv().ok()) return initialized.rv().ToError();

  auto tokens = KMS_TRY(TokensOf(*module));
  auto found = FindOne(tokens, label);
  if (!found.has_value() && found.error().code != ErrorCode::kNotFound) return found.error();
  if (!found.has_value()) {
    KMS_TRY(InitializeToken(*module, tokens, label, so_pin));
    tokens = KMS_TRY(TokensOf(*module));
    found = FindOne(tokens, label);
  }
  const TokenFacts token = KMS_TRY(std::move(found));
  if ((token.flags & CKF_USER_PIN_INITIALIZED) == 0) {
    KMS_TRY(InitializePin(*module, token, pin, so_pin));
  }
  return token.serial;
}

}  // namespace kms::pkcs11
