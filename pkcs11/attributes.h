// SPDX-License-Identifier: Apache-2.0
// AttributeList: a Cryptoki template that owns its values.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "kms/base/bytes.h"
#include "pkcs11/cryptoki.h"

namespace kms::pkcs11 {

// Thread rule: like a plain value. Not for secrets.
class AttributeList {
 public:
  AttributeList() = default;
  AttributeList(AttributeList&&) = default;
  AttributeList& operator=(AttributeList&&) = default;
  AttributeList(const AttributeList&) = delete;
  AttributeList& operator=(const AttributeList&) = delete;

  AttributeList& Flag(CK_ATTRIBUTE_TYPE type, bool value) {
    const CK_BBOOL flag = value ? CK_TRUE : CK_FALSE;
    return Data(type, {&flag, sizeof(flag)});
  }
  AttributeList& Number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) {
    return Data(type, {reinterpret_cast<const std::uint8_t*>(&value), sizeof(value)});
  }
  AttributeList& Data(CK_ATTRIBUTE_TYPE type, ByteView value) {
    Bytes& kept = values_.emplace_back(CopyOf(value));
    attributes_.push_back({type, kept.data(), kept.size()});
    return *this;
  }

  [[nodiscard]] std::span<CK_ATTRIBUTE> span() { return attributes_; }

 private:
  std::deque<Bytes> values_;
  std::vector<CK_ATTRIBUTE> attributes_;
};

}  // namespace kms::pkcs11
