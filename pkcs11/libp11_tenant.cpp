// SPDX-License-Identifier: Apache-2.0
// The only file that speaks to libp11.
#include "pkcs11/libp11_tenant.h"

#include <libp11.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <span>

namespace kms::pkcs11 {
namespace {

std::string LastError() {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_peek_last_error(), text.data(), text.size());
  ERR_clear_error();
  return text.data();
}

std::string TextOf(const char* text) {
  std::string copy = text == nullptr ? "" : text;
  while (!copy.empty() && copy.back() == ' ') copy.pop_back();
  return copy;
}

Error Failed(std::string what) {
  return Unavailable("the HSM failed; retry later", std::move(what) + ": " + LastError());
}

}  // namespace

struct Libp11Tenant::Context {
  PKCS11_CTX* context = nullptr;
  PKCS11_SLOT* slots = nullptr;
  unsigned int slot_count = 0;
  PKCS11_SLOT* settled = nullptr;
  bool loaded = false;

  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() {
    if (slots != nullptr) PKCS11_release_all_slots(context, slots, slot_count);
    if (loaded) PKCS11_CTX_unload(context);
    if (context != nullptr) PKCS11_CTX_free(context);
    ERR_clear_error();
  }
  [[nodiscard]] std::span<PKCS11_SLOT> all() const { return {slots, slot_count}; }
};

Libp11Tenant::Libp11Tenant(std::unique_ptr<Context> context) : context_(std::move(context)) {}
Libp11Tenant::~Libp11Tenant() = default;

Result<std::unique_ptr<Libp11Tenant>> Libp11Tenant::Attach(const std::string& module_path,
                                                           const std::string& module_init) {
  auto context = std::make_unique<Context>();
  context->context = PKCS11_CTX_new();
  if (context->context == nullptr) return Failed("PKCS11_CTX_new");
  if (!module_init.empty()) PKCS11_CTX_init_args(context->context, module_init.c_str());
  if (PKCS11_CTX_load(context->context, module_path.c_str()) != 0) return Failed("PKCS11_CTX_load");
  context->loaded = true;
  if (PKCS11_enumerate_slots(context->context, &context->slots, &context->slot_count) != 0) {
    return Failed("PKCS11_enumerate_slots");
  }
  return std::unique_ptr<Libp11Tenant>(new Libp11Tenant(std::move(context)));
}

std::vector<FoundToken> Libp11Tenant::Tokens() const {
  std::vector<FoundToken> found;
  for (PKCS11_SLOT& slot : context_->all()) {
    if (slot.token == nullptr || slot.token->initialized == 0) continue;
    found.push_back({.slot = PKCS11_get_slotid_from_slot(&slot),
                     .label = TextOf(slot.token->label),
                     .serial = TextOf(slot.token->serialnr)});
  }
  return found;
}

Status Libp11Tenant::Settle(unsigned long slot) {
  const auto slots = context_->all();
  const auto found = std::ranges::find_if(
      slots, [&](PKCS11_SLOT& each) { return PKCS11_get_slotid_from_slot(&each) == slot; });
  if (found == slots.end()) return Failed("slot vanished");
  std::array<unsigned char, 1> random{};
  if (PKCS11_open_session(&*found, 1) != 0) return Failed("PKCS11_open_session");
  if (PKCS11_generate_random(&*found, random.data(), random.size()) != 0) {
    return Failed("PKCS11_generate_random");
  }
  context_->settled = &*found;
  return Ok();
}

bool Libp11Tenant::is_settled() const { return context_->settled != nullptr; }

Result<EvpKey> Libp11Tenant::FindPrivateKey(ByteView id) {
  PKCS11_KEY* keys = nullptr;
  unsigned int count = 0;
  if (context_->settled == nullptr) return Internal("FindPrivateKey before Settle");
  if (PKCS11_enumerate_keys(context_->settled->token, &keys, &count) != 0) {
    return Failed("PKCS11_enumerate_keys");
  }
  for (PKCS11_KEY& key : std::span(keys, count)) {
    if (!std::ranges::equal(ByteView(key.id, key.id_len), id)) continue;
    EvpKey found(PKCS11_get_private_key(&key));
    if (found == nullptr) return Failed("PKCS11_get_private_key");
    return found;
  }
  return NotFound("the HSM token does not list the signing key");
}

}  // namespace kms::pkcs11
