// SPDX-License-Identifier: Apache-2.0
// Acceptor: one thread that takes connections in and deals them out; survives a lack of
// descriptors.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "api/front/admission.h"
#include "api/front/connection.h"
#include "api/front/listener.h"
#include "api/front/tls.h"
#include "kms/base/result.h"

namespace kms::api {

// Thread rule: any thread.
class Acceptor {
 public:
  using Deal = std::function<void(Channel, PeerAddress)>;

  // `deal` runs on the acceptor's thread for every admitted connection; `tls` may be null;
  // `overload_answer` goes to plain clients that are turned away. Errors: kUnavailable when the
  // kernel refuses descriptors.
  static Result<std::unique_ptr<Acceptor>> Start(Listener listener, Admission& admission,
                                                 TlsContext* tls, std::string overload_answer,
                                                 Deal deal);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Closes the listening socket.
  void Stop();

 private:
  Acceptor(Listener listener, UniqueFd stop_fd, Admission& admission, TlsContext* tls,
           std::string overload_answer, Deal deal);

  void Run();
  // False when nothing waits, or nothing can be done about what waits.
  bool AcceptOne();
  void Admit(UniqueFd socket, PeerAddress peer);
  // Uses the spare descriptor to turn one client away instead of spinning on the backlog.
  bool TurnOneAway();

  Listener listener_;
  const UniqueFd stop_fd_;
  UniqueFd spare_;
  bool exhausted_ = false;
  Admission& admission_;
  TlsContext* const tls_;
  const std::string overload_answer_;
  const Deal deal_;
  std::thread thread_;
};

}  // namespace kms::api
