// SPDX-License-Identifier: Apache-2.0
// The table of return values and the table of connection states.
#include "pkcs11/rv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pkcs11/connection_state.h"

namespace kms::pkcs11 {
namespace {

using ::testing::HasSubstr;

TEST(Rv, EveryKindHasItsCode) {
  const struct {
    CK_RV value;
    RvKind kind;
    ErrorCode code;
  } kRows[] = {
      {CKR_ENCRYPTED_DATA_INVALID, RvKind::kIntegrity, ErrorCode::kCorrupted},
      {kRvAeadDecryptFailed, RvKind::kIntegrity, ErrorCode::kCorrupted},
      {CKR_WRAPPED_KEY_LEN_RANGE, RvKind::kIntegrity, ErrorCode::kCorrupted},
      {CKR_GENERAL_ERROR, RvKind::kAmbiguous, ErrorCode::kUnavailable},
      {CKR_FUNCTION_FAILED, RvKind::kAmbiguous, ErrorCode::kUnavailable},
      {CKR_SESSION_HANDLE_INVALID, RvKind::kSession, ErrorCode::kUnavailable},
      {CKR_OPERATION_ACTIVE, RvKind::kSession, ErrorCode::kUnavailable},
      {CKR_KEY_HANDLE_INVALID, RvKind::kKeyHandle, ErrorCode::kUnavailable},
      {CKR_USER_NOT_LOGGED_IN, RvKind::kLogin, ErrorCode::kUnavailable},
      {CKR_DEVICE_REMOVED, RvKind::kDevice, ErrorCode::kUnavailable},
      {CKR_CRYPTOKI_NOT_INITIALIZED, RvKind::kDevice, ErrorCode::kUnavailable},
      {CKR_SESSION_COUNT, RvKind::kBusy, ErrorCode::kUnavailable},
      {CKR_PIN_INCORRECT, RvKind::kAuth, ErrorCode::kFailedPrecondition},
      {CKR_PIN_LOCKED, RvKind::kAuth, ErrorCode::kFailedPrecondition},
      {CKR_MECHANISM_INVALID, RvKind::kPolicy, ErrorCode::kFailedPrecondition},
      {CKR_TEMPLATE_INCONSISTENT, RvKind::kPolicy, ErrorCode::kFailedPrecondition},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(Classify(row.value), row.kind) << RvName(row.value);
    const Rv rv{row.value, "C_Test"};
    EXPECT_EQ(rv.ToError().code, row.code) << RvName(row.value);
  }
}

TEST(Rv, LetsTheSentinelJudgeWhatIsNotInTheTable) {
  constexpr CK_RV kVendorDefined = 0x80000007;
  EXPECT_EQ(Classify(kVendorDefined), RvKind::kAmbiguous);
  EXPECT_EQ(RvName(kVendorDefined), "0x80000007");
}

TEST(Rv, NamesFunctionAndValueForOperatorsAlone) {
  const Error error = Rv{CKR_DEVICE_ERROR, "C_Encrypt"}.ToError();
  EXPECT_EQ(error.detail, "C_Encrypt: CKR_DEVICE_ERROR (0x30)");
  EXPECT_THAT(error.public_message, ::testing::Not(HasSubstr("CKR")));
}

TEST(ConnectionState, GoesUpInOrder) {
  const ConnectionState kWay[] = {ConnectionState::kDown, ConnectionState::kInit,
                                  ConnectionState::kFind, ConnectionState::kLogin,
                                  ConnectionState::kBind, ConnectionState::kReady};
  for (std::size_t i = 0; i + 1 < std::size(kWay); ++i) {
    EXPECT_EQ(Next(kWay[i], ConnectionEvent::kDone), kWay[i + 1]);
  }
}

TEST(ConnectionState, TearsDownOnlyAfterTheLastCallHasLeft) {
  EXPECT_EQ(Next(ConnectionState::kReady, ConnectionEvent::kDeviceFailed), ConnectionState::kDrain);
  EXPECT_EQ(Next(ConnectionState::kDrain, ConnectionEvent::kDone), ConnectionState::kTeardown);
  EXPECT_EQ(Next(ConnectionState::kDrain, ConnectionEvent::kDrainTimedOut),
            ConnectionState::kStuck);
}

TEST(ConnectionState, NeverLeavesStuck) {
  for (const auto event : {ConnectionEvent::kDone, ConnectionEvent::kDeviceFailed,
                           ConnectionEvent::kPinChanged, ConnectionEvent::kMisconfigured}) {
    EXPECT_EQ(Next(ConnectionState::kStuck, event), ConnectionState::kStuck);
  }
}

TEST(ConnectionState, LooksAgainAtAMisconfiguredTokenFromTheBeginning) {
  EXPECT_EQ(Next(ConnectionState::kFatalConfig, ConnectionEvent::kDone), ConnectionState::kInit);
  EXPECT_EQ(Next(ConnectionState::kFatalConfig, ConnectionEvent::kDeviceFailed),
            ConnectionState::kFatalConfig);
}

TEST(ConnectionState, LeavesLockedOutOnlyForANewPin) {
  EXPECT_EQ(Next(ConnectionState::kLockedOut, ConnectionEvent::kDone),
            ConnectionState::kLockedOut);
  EXPECT_EQ(Next(ConnectionState::kLockedOut, ConnectionEvent::kDeviceFailed),
            ConnectionState::kLockedOut);
  EXPECT_EQ(Next(ConnectionState::kLockedOut, ConnectionEvent::kPinChanged),
            ConnectionState::kTeardown);
}

TEST(ConnectionState, BacksOffFromNothingToTheLongest) {
  using std::chrono::milliseconds;
  EXPECT_EQ(BackoffPause(0, milliseconds(200), milliseconds(5000)), milliseconds(0));
  for (unsigned attempt = 1; attempt < 40; ++attempt) {
    const auto pause = BackoffPause(attempt, milliseconds(200), milliseconds(5000));
    EXPECT_GE(pause, milliseconds(150));
    EXPECT_LE(pause, milliseconds(5000));
  }
  EXPECT_GE(BackoffPause(30, milliseconds(200), milliseconds(5000)), milliseconds(3750));
}

}  // namespace
}  // namespace kms::pkcs11
