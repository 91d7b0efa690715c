// SPDX-License-Identifier: Apache-2.0
// PeerCertificates: what a client has presented in its TLS handshake and proved to hold.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kms/base/digest.h"

namespace kms::api {

// Made once for each connection, a resumed one included, and shared by its requests. Immutable.
struct PeerCertificates {
  std::vector<std::vector<std::uint8_t>> chain;  // DER as sent, leaf first; never empty
  Sha256Digest leaf_digest{};                    // SHA-256 of chain.front()
};

// Null: none was presented, or the connection is plain.
using PeerCertificatesHandle = std::shared_ptr<const PeerCertificates>;

}  // namespace kms::api
