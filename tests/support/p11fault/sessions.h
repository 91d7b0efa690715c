// SPDX-License-Identifier: Apache-2.0
// The open sessions, and those of them that the token has forgotten (`lose`, `logout`).
//
// Thread rule: any thread.
#pragma once

#include <p11-kit/pkcs11.h>

namespace p11fault {

// Forward to the module and remember. A lost session is closed too: it is the module's still.
CK_RV OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void* application, CK_NOTIFY notify,
                  CK_SESSION_HANDLE* session);
CK_RV CloseSession(CK_SESSION_HANDLE session);

// The token forgets all that are open.
void LoseSessions();
bool IsLost(CK_SESSION_HANDLE session);
// As C_Finalize does.
void ForgetSessions();

// Of every token, by a session of its own. Closing the lost sessions here would pull them from
// under the module's other threads.
void LogOut();

}  // namespace p11fault
