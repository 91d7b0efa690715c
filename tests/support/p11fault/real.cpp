// SPDX-License-Identifier: Apache-2.0
#include "tests/support/p11fault/real.h"

#include <dlfcn.h>

#include <cstdio>
#include <string>

#include "tests/support/p11fault/rules.h"

namespace p11fault {
namespace {

CK_FUNCTION_LIST* LoadReal() {
  const std::string path = FindPaths().module;
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(
      library == nullptr ? nullptr : ::dlsym(library, "C_GetFunctionList"));
  CK_FUNCTION_LIST* list = nullptr;
  if (get == nullptr || get(&list) != CKR_OK) {
    std::fprintf(stderr, "p11fault: cannot load the module '%s'\n", path.c_str());
    return nullptr;
  }
  return list;
}

}  // namespace

CK_FUNCTION_LIST* Real() {
  static CK_FUNCTION_LIST* const real = LoadReal();
  return real;
}

}  // namespace p11fault
