// SPDX-License-Identifier: Apache-2.0
// Rows of the route table about sealing, rotations of environment and master keys, recovery,
// backups, scrub and tasks.
#pragma once

#include <array>

#include "api/handlers/handlers.h"
#include "api/handlers/route_rows.h"
#include "api/pipeline/route.h"

namespace kms::api {

namespace task_fields {

using enum FieldKind;

// Entries per second, so that rotations stay in the background; 0: as fast as it goes.
inline constexpr std::string_view kTaskRate = "3000";
inline constexpr std::array kStartTask = {
    FieldSpec{.name = "dry_run", .kind = kBoolean},
    FieldSpec{.name = "rate", .kind = kInteger, .fallback = kTaskRate},
};
inline constexpr std::array kRotateMaster = {
    FieldSpec{.name = "to_hsm", .kind = kString},
    FieldSpec{.name = "dry_run", .kind = kBoolean},
    FieldSpec{.name = "rate", .kind = kInteger},
};
inline constexpr std::array kRecovery = {
    FieldSpec{.name = "threshold", .kind = kInteger, .missing_text = "missing threshold"},
    FieldSpec{.name = "recipients", .kind = kMap, .missing_text = "missing recipients"},
};
inline constexpr std::array kRetireMaster = {
    FieldSpec{.name = "version", .kind = kInteger, .missing_text = "missing version"},
    FieldSpec{.name = "dry_run", .kind = kBoolean},
    FieldSpec{.name = "rate", .kind = kInteger},
};
inline constexpr std::array kStoreBackup = {
    FieldSpec{.name = "keep", .kind = kDuration, .fallback = "7776000"},  // 90 days
};
inline constexpr std::array kCheckStoreBackup = {
    FieldSpec{.name = "head", .kind = kString, .missing_text = "missing head"},
};
inline constexpr std::array kThrottle = {
    FieldSpec{.name = "rate", .kind = kInteger, .missing_text = "missing rate"},
};

}  // namespace task_fields

inline constexpr auto kTaskRoutes = Absolute(std::array{
    Sudo(Changes("sys/environments/{path*}/seal", HandleSealEnvironment)),
    Sudo(WithApproval(ApprovalAction::kUnseal,
                      Changes("sys/environments/{path*}/unseal", HandleUnsealEnvironment))),
    Sudo(Changes("sys/environments/{path*}/rotate-master", HandleRotateMaster,
                 task_fields::kRotateMaster)),
    Sudo(Changes("sys/environments/{path*}/rotate-key", HandleRotateEnvironmentKey,
                 task_fields::kStartTask)),
    Sudo(WithApproval(ApprovalAction::kRetireMaster,
                      Changes("sys/environments/{path*}/retire-master", HandleRetireMaster,
                              task_fields::kRetireMaster))),
    Sudo(Reads("sys/environments/{path*}/recovery", HandleReadRecovery)),
    Sudo(WithApproval(
        ApprovalAction::kRecovery,
        Changes("sys/environments/{path*}/recovery", HandleWriteRecovery, task_fields::kRecovery))),
    Sudo(WithApproval(ApprovalAction::kRecovery,
                      Deletes("sys/environments/{path*}/recovery", HandleDeleteRecovery))),
    Sudo(ChangingState(Reads("sys/backup", HandleBackUpStore, task_fields::kStoreBackup))),
    Posts("sys/backup/check", HandleCheckStoreBackup, task_fields::kCheckStoreBackup),
    Lists("sys/backups", HandleListStoreBackups),
    Sudo(Deletes("sys/backups/{id}", HandleForgetStoreBackup)),
    Sudo(Changes("sys/environments/{path*}/rotate-everything", HandleRotateEverything,
                 task_fields::kStartTask)),
    Reads("sys/scrub", HandleReadScrub),
    Sudo(Changes("sys/scrub", HandleStartScrub)),
    Lists("sys/tasks", HandleListTasks),
    Reads("sys/tasks/{id}", HandleReadTask),
    Sudo(Deletes("sys/tasks/{id}", HandleDeleteTask)),
    Sudo(Changes("sys/tasks/{id}/cancel", HandleCancelTask)),
    Sudo(Changes("sys/tasks/{id}/resume", HandleResumeTask)),
    Sudo(Changes("sys/tasks/{id}/throttle", HandleThrottleTask, task_fields::kThrottle)),
    Lists("sys/statements", HandleListStatements),
    Reads("sys/statements/{id}", HandleReadStatement),
});

}  // namespace kms::api
