// SPDX-License-Identifier: Apache-2.0
// Loading and initialising a PKCS#11 library.
#include "pkcs11/module.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace kms::pkcs11 {
namespace {

// NSS reads one pointer more than the standard's structure has.
struct InitializeArguments {
  CK_C_INITIALIZE_ARGS standard;
  void* nss_reserved;
};

Error Refused(std::string why, const std::string& path) {
  return FailedPrecondition("the PKCS#11 module is refused: " + why, path);
}

Status CheckFile(const std::string& path) {
  if (path.empty() || path.front() != '/') {
    return Refused("its path must be absolute; correct the configuration", path);
  }
  char* const resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) {
    return Refused("the file is missing; install it or correct the configuration", path);
  }
  const std::unique_ptr<char, decltype(&std::free)> owned(resolved, &std::free);
  const std::string real = resolved;
  if ((path + real).find("pkcs11-spy") != std::string::npos) {
    return Refused("pkcs11-spy writes PINs and keys to a file; name the real module", path);
  }
  struct stat info{};
  if (::stat(resolved, &info) != 0 || !S_ISREG(info.st_mode)) {
    return Refused("it is not a regular file; correct the configuration", path);
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Refused("others may write the file; run chmod go-w on it", path);
  }
  if (info.st_uid != 0 && info.st_uid != ::geteuid()) {
    return Refused("it belongs to another user; make root its owner", path);
  }
  return Ok();
}

}  // namespace

std::string TrimmedField(const unsigned char* field, std::size_t size) {
  while (size > 0 && (field[size - 1] == ' ' || field[size - 1] == '\0')) --size;
  return {reinterpret_cast<const char*>(field), size};
}

Result<std::unique_ptr<Module>> Module::Load(const std::string& path) {
  KMS_TRY(CheckFile(path));
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const reason = ::dlerror();
    return FailedPrecondition("the PKCS#11 module cannot be loaded; check that it is a library of "
                              "this architecture and that its dependencies are installed",
                              reason == nullptr ? path : reason);
  }
  const auto get_list =
      reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
  if (get_list == nullptr) return Refused("it is no PKCS#11 library", path);
  CK_FUNCTION_LIST* functions = nullptr;
  const Rv rv{get_list(&functions), "C_GetFunctionList"};
  if (!rv.ok() || functions == nullptr) return rv.ToError();
  return std::unique_ptr<Module>(new Module(path, functions));
}

Rv Module::Initialize(const std::string& init_string) const {
  std::string writable = init_string;
  InitializeArguments arguments{};
  arguments.standard.flags = CKF_OS_LOCKING_OK;
  arguments.standard.pReserved = writable.empty() ? nullptr : writable.data();
  const CK_RV rv = functions_->C_Initialize(&arguments.standard);
  return {rv == CKR_CRYPTOKI_ALREADY_INITIALIZED ? CKR_OK : rv, "C_Initialize"};
}

Rv Module::Finalize() const {
  const CK_RV rv = functions_->C_Finalize(nullptr);
  return {rv == CKR_CRYPTOKI_NOT_INITIALIZED ? CKR_OK : rv, "C_Finalize"};
}

std::string Module::Description() const {
  CK_INFO info{};
  if (functions_->C_GetInfo(&info) != CKR_OK) return "unknown module";
  return TrimmedField(info.manufacturerID, sizeof(info.manufacturerID)) + " " +
         TrimmedField(info.libraryDescription, sizeof(info.libraryDescription)) + " " +
         std::to_string(info.libraryVersion.major) + "." +
         std::to_string(info.libraryVersion.minor);
}

Rv Module::ReadToken(CK_SLOT_ID slot, TokenFacts& facts) const {
  CK_TOKEN_INFO info{};
  const Rv rv{functions_->C_GetTokenInfo(slot, &info), "C_GetTokenInfo"};
  if (rv.ok()) {
    facts = {.slot = slot,
             .label = TrimmedField(info.label, sizeof(info.label)),
             .serial = TrimmedField(info.serialNumber, sizeof(info.serialNumber)),
             .flags = info.flags};
  }
  return rv;
}

Rv Module::ListTokens(std::vector<TokenFacts>& tokens) const {
  // Some modules count more slots than they list: the second count is the true one.
  CK_ULONG count = 0;
  Rv rv{functions_->C_GetSlotList(CK_TRUE, nullptr, &count), "C_GetSlotList"};
  if (!rv.ok()) return rv;
  std::vector<CK_SLOT_ID> slots(count + 8);
  count = slots.size();
  rv.value = functions_->C_GetSlotList(CK_TRUE, slots.data(), &count);
  if (!rv.ok()) return rv;
  if (count > slots.size()) return {CKR_DEVICE_ERROR, "C_GetSlotList"};
  slots.resize(count);
  tokens.clear();
  for (const CK_SLOT_ID slot : slots) {
    TokenFacts facts;
    if (ReadToken(slot, facts).ok()) tokens.push_back(std::move(facts));
  }
  return rv;
}

Rv Module::OpenSession(CK_SLOT_ID slot, CK_SESSION_HANDLE& session) const {
  return {functions_->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr,
                                    &session),
          "C_OpenSession"};
}

void Module::CloseSession(CK_SESSION_HANDLE session) const {
  static_cast<void>(functions_->C_CloseSession(session));
}

}  // namespace kms::pkcs11
