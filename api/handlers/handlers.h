// SPDX-License-Identifier: Apache-2.0
// The handlers, one per row of the route table: typed fields in, one operation, data out. Rights,
// audit and envelopes are the pipeline's.
#pragma once

#include "api/pipeline/reply.h"
#include "kms/base/result.h"

namespace kms::api {

struct Call;
struct RouteMatch;
struct Services;

// keys/… (transit-api 6.1 to 6.7)
Result<Reply> HandleCreateKey(Call& call);
Result<Reply> HandleReadKey(Call& call);
Result<Reply> HandleListKeys(Call& call);
Result<Reply> HandleDeleteKey(Call& call);
Result<Reply> HandleConfigureKey(Call& call);
Result<Reply> HandleRotateKey(Call& call);
Result<Reply> HandleTrimKey(Call& call);
Result<Reply> HandleSoftDeleteKey(Call& call);
Result<Reply> HandleRestoreSoftDeletedKey(Call& call);

// backup/…, restore/… (6.23)
Result<Reply> HandleBackup(Call& call);
Result<Reply> HandleRestore(Call& call);

// Keys on their way in and out: wrapping_key, keys/:name/import, keys/:name/import_version,
// export/…, byok-export/…, derive-key/…, keys/:name/csr, keys/:name/set-certificate (6.18 to 6.22,
// 6.26, 6.27)
Result<Reply> HandleWrappingKey(Call& call);
Result<Reply> HandleImportKey(Call& call);
Result<Reply> HandleImportVersion(Call& call);
Result<Reply> HandleExport(Call& call);
Result<Reply> HandleByokExport(Call& call);
Result<Reply> HandleDeriveKey(Call& call);
Result<Reply> HandleCreateCsr(Call& call);
Result<Reply> HandleSetCertificate(Call& call);

// encrypt/…, decrypt/…, rewrap/…, datakey/… (6.9 to 6.12)
Result<Reply> HandleEncrypt(Call& call);
Result<bool> KeyExists(const Services& services, const RouteMatch& match);
Result<Reply> HandleCrypto(Call& call);
Result<Reply> HandleDataKey(Call& call);
Result<Reply> HandleDataKeys(Call& call);

// random/…, hash/…, also below sys/tools; hmac/…, sign/…, verify/… (6.13 to 6.17)
Result<Reply> HandleRandom(Call& call);
Result<Reply> HandleHash(Call& call);
Result<Reply> HandleHmac(Call& call);
Result<Reply> HandleSign(Call& call);
Result<Reply> HandleVerify(Call& call);

// config/keys, cache-config (6.24, 6.25)
Result<Reply> HandleReadKeysConfig(Call& call);
Result<Reply> HandleWriteKeysConfig(Call& call);
Result<Reply> HandleReadCacheConfig(Call& call);
Result<Reply> HandleWriteCacheConfig(Call& call);

// sys/… (9.1 to 9.5, 9.8)
Result<Reply> HandleHealth(Call& call);
Result<Reply> HandleSealStatus(Call& call);
Result<Reply> HandleLeader(Call& call);
Result<Reply> HandleInitStatus(Call& call);
Result<Reply> HandleListMounts(Call& call);
Result<Reply> HandleCreateMount(Call& call);
Result<Reply> HandleReadMount(Call& call);
Result<Reply> HandleDeleteMount(Call& call);
Result<Reply> HandleReadTune(Call& call);
Result<Reply> HandleWriteTune(Call& call);
Result<Reply> HandleVisibleMounts(Call& call);
Result<Reply> HandleListAuthMounts(Call& call);
Result<Reply> HandleReadAuthMount(Call& call);
Result<Reply> HandleEnableAuth(Call& call);
Result<Reply> HandleDisableAuth(Call& call);
Result<Reply> HandleReadAuthTune(Call& call);
Result<Reply> HandleWriteAuthTune(Call& call);
Result<Reply> HandleMountOfPath(Call& call);
Result<Reply> HandleHsmStatus(Call& call);
Result<Reply> HandleEnvironmentsStatus(Call& call);
Result<Reply> HandleListHsms(Call& call);
Result<Reply> HandleReadHsm(Call& call);
Result<Reply> HandleReloadHsms(Call& call);
Result<Reply> HandleJoinHsm(Call& call);
Result<Reply> HandleLeaveHsm(Call& call);
Result<Reply> HandleReadMembers(Call& call);
Result<Reply> HandleReadLease(Call& call);
Result<Reply> HandleMetrics(Call& call);

// auth/token/… (10.2)
Result<Reply> HandleLookupSelf(Call& call);
Result<Reply> HandleRenewSelf(Call& call);
Result<Reply> HandleRevokeSelf(Call& call);
Result<Reply> HandleCreateToken(Call& call);
Result<Reply> HandleCreateOrphanToken(Call& call);
Result<Reply> HandleCreateRoleToken(Call& call);
Result<Reply> HandleLookupToken(Call& call);
Result<Reply> HandleLookupAccessor(Call& call);
Result<Reply> HandleListAccessors(Call& call);
Result<Reply> HandleRenewToken(Call& call);
Result<Reply> HandleRenewAccessor(Call& call);
Result<Reply> HandleRevokeToken(Call& call);
Result<Reply> HandleRevokeAccessor(Call& call);
Result<Reply> HandleRevokeOrphan(Call& call);
Result<Reply> HandleRevokeSource(Call& call);
Result<Reply> HandleRevokePrefix(Call& call);
Result<Reply> HandleTidyTokens(Call& call);
Result<bool> TokenRoleExists(const Services& services, const RouteMatch& match);
Result<Reply> HandleListTokenRoles(Call& call);
Result<Reply> HandleReadTokenRole(Call& call);
Result<Reply> HandleWriteTokenRole(Call& call);
Result<Reply> HandleDeleteTokenRole(Call& call);

// sys/policies/…, sys/policy/…, sys/capabilities… (9.6, 9.7)
Result<Reply> HandleListPolicies(Call& call);
Result<Reply> HandleReadPolicy(Call& call);
Result<Reply> HandleWritePolicy(Call& call);
Result<Reply> HandleDeletePolicy(Call& call);
Result<Reply> HandleListOldPolicies(Call& call);
Result<Reply> HandleReadOldPolicy(Call& call);
Result<Reply> HandleExplainPolicy(Call& call);
Result<Reply> HandleCapabilities(Call& call);
Result<Reply> HandleCapabilitiesSelf(Call& call);
Result<Reply> HandleCapabilitiesOfAccessor(Call& call);

// sys/wrapping/… (9.9)
Result<Reply> HandleWrap(Call& call);
Result<Reply> HandleUnwrap(Call& call);
Result<Reply> HandleLookupWrapping(Call& call);
Result<Reply> HandleRewrapResponse(Call& call);

// sys/approvals/…: approval by two
Result<Reply> HandleListApprovals(Call& call);
Result<Reply> HandleReadApproval(Call& call);
Result<Reply> HandleApprove(Call& call);
Result<Reply> HandleCancelApproval(Call& call);
Result<Reply> HandleApprovalResult(Call& call);

// sys/limits/…
Result<Reply> HandleReadRateLimits(Call& call);
Result<Reply> HandleWriteRateLimit(Call& call);
Result<Reply> HandleListBudgets(Call& call);
Result<Reply> HandleReadBudget(Call& call);
Result<Reply> HandleWriteBudget(Call& call);
Result<Reply> HandleDeleteBudget(Call& call);
Result<Reply> HandleListLoginBlocks(Call& call);
Result<Reply> HandleClearLoginBlocks(Call& call);
Result<Reply> HandleLimitsStatus(Call& call);

// sys/environments/…
Result<Reply> HandleSealEnvironment(Call& call);
Result<Reply> HandleUnsealEnvironment(Call& call);
Result<Reply> HandleRotateMaster(Call& call);
Result<Reply> HandleRotateEnvironmentKey(Call& call);
Result<Reply> HandleRetireMaster(Call& call);
Result<Reply> HandleRotateEverything(Call& call);
Result<Reply> HandleReadRecovery(Call& call);
Result<Reply> HandleWriteRecovery(Call& call);
Result<Reply> HandleDeleteRecovery(Call& call);

// sys/backup, sys/backups/…
Result<Reply> HandleBackUpStore(Call& call);
Result<Reply> HandleCheckStoreBackup(Call& call);
Result<Reply> HandleListStoreBackups(Call& call);
Result<Reply> HandleForgetStoreBackup(Call& call);

// sys/scrub
Result<Reply> HandleReadScrub(Call& call);
Result<Reply> HandleStartScrub(Call& call);

// sys/tasks/…, sys/statements/…
Result<Reply> HandleListTasks(Call& call);
Result<Reply> HandleReadTask(Call& call);
Result<Reply> HandleDeleteTask(Call& call);
Result<Reply> HandleCancelTask(Call& call);
Result<Reply> HandleResumeTask(Call& call);
Result<Reply> HandleThrottleTask(Call& call);
Result<Reply> HandleListStatements(Call& call);
Result<Reply> HandleReadStatement(Call& call);

// auth/<approle mount>/… (10.3)
Result<bool> AppRoleExists(const Services& services, const RouteMatch& match);
Result<Reply> HandleAppRoleLogin(Call& call);
Result<Reply> HandleWriteAppRole(Call& call);
Result<Reply> HandleReadAppRole(Call& call);
Result<Reply> HandleListAppRoles(Call& call);
Result<Reply> HandleDeleteAppRole(Call& call);
Result<Reply> HandleReadAppRoleId(Call& call);
Result<Reply> HandleWriteAppRoleId(Call& call);
Result<Reply> HandleReadAppRoleSetting(Call& call);
Result<Reply> HandleWriteAppRoleSetting(Call& call);
Result<Reply> HandleDeleteAppRoleSetting(Call& call);
Result<Reply> HandleCreateSecretId(Call& call);
Result<Reply> HandleCreateCustomSecretId(Call& call);
Result<Reply> HandleListSecretIds(Call& call);
Result<Reply> HandleLookupSecretId(Call& call);
Result<Reply> HandleDestroySecretId(Call& call);
Result<Reply> HandleLookupSecretIdAccessor(Call& call);
Result<Reply> HandleDestroySecretIdAccessor(Call& call);
Result<Reply> HandleTidySecretIds(Call& call);

// auth/<jwt mount>/… (10.4)
Result<bool> JwtRoleExists(const Services& services, const RouteMatch& match);
Result<Reply> HandleJwtLogin(Call& call);
Result<Reply> HandleReadJwtConfig(Call& call);
Result<Reply> HandleWriteJwtConfig(Call& call);
Result<Reply> HandleWriteJwtRole(Call& call);
Result<Reply> HandleReadJwtRole(Call& call);
Result<Reply> HandleListJwtRoles(Call& call);
Result<Reply> HandleDeleteJwtRole(Call& call);
Result<Reply> HandleTidySeenJwts(Call& call);

// auth/<userpass mount>/… (10.6)
Result<bool> UserExists(const Services& services, const RouteMatch& match);
Result<Reply> HandleUserpassLogin(Call& call);
Result<Reply> HandleWriteUser(Call& call);
Result<Reply> HandleReadUser(Call& call);
Result<Reply> HandleListUsers(Call& call);
Result<Reply> HandleDeleteUser(Call& call);
Result<Reply> HandleWriteUserPassword(Call& call);
Result<Reply> HandleWriteUserPolicies(Call& call);
Result<Reply> HandleBeginTotp(Call& call);
Result<Reply> HandleConfirmTotp(Call& call);
Result<Reply> HandleDisableTotp(Call& call);

// auth/<cert mount>/… (10.5)
Result<bool> CertEntryExists(const Services& services, const RouteMatch& match);
Result<Reply> HandleCertLogin(Call& call);
Result<Reply> HandleWriteCertEntry(Call& call);
Result<Reply> HandleReadCertEntry(Call& call);
Result<Reply> HandleListCertEntries(Call& call);
Result<Reply> HandleDeleteCertEntry(Call& call);
Result<Reply> HandleWriteRevocationList(Call& call);
Result<Reply> HandleReadRevocationList(Call& call);
Result<Reply> HandleListRevocationLists(Call& call);
Result<Reply> HandleDeleteRevocationList(Call& call);
Result<Reply> HandleReadCertSettings(Call& call);
Result<Reply> HandleWriteCertSettings(Call& call);

}  // namespace kms::api
