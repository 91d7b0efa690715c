// SPDX-License-Identifier: Apache-2.0
// Login with certificates (transit-api 10.5): entries, revocation lists, binding, faults.
#include "kms/identity/cert_auth.h"

#include <thread>

#include "tests/kms/identity/login_world.h"
#include "tests/support/pki_builder.h"

namespace kms {
namespace {

using testing::AuthoritySpec;
using testing::Block;
using testing::BytesOfHex;
using testing::CertificateSpec;
using testing::ClientSpec;
using ::testing::ElementsAre;
using testing::HasError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::Issue;
using testing::IssuedCertificate;
using testing::MakeRevocationList;
using testing::Named;
using testing::RevocationSpec;

constexpr std::string_view kNotTrusted = "invalid certificate or no client certificate supplied";
constexpr std::string_view kNotMatched =
    "no chain matching all constraints could be found for this login certificate";

class CertAuthTest : public testing::LoginWorld {
 protected:
  CertAuthTest() {
    clock_.Advance(std::chrono::hours(1));
    WriteEntry("apps", authority, {});
  }

  void WriteEntry(std::string_view name, const IssuedCertificate& certificate,
                  const CertificateConstraints& constraints) {
    EXPECT_THAT(certs.WriteEntry(mount_, Named(name),
                                 [&](CertificateEntry& entry) {
                                   entry.certificate = certificate.Pem();
                                   entry.constraints = constraints;
                                   entry.parameters.policies = {"app"};
                                   return Ok();
                                 }),
                IsOk());
  }
  Status Revoke(std::string_view name, const RevocationSpec& spec,
                const IssuedCertificate& issuer) {
    const RevocationListHandle list =
        KMS_TRY(RevocationList::Parse(ByteView(MakeRevocationList(spec, issuer))));
    return certs.WriteRevocationList(mount_, Named(name), *list);
  }

  Result<LoginGrant> Login(const std::vector<const IssuedCertificate*>& chain,
                           std::optional<std::string_view> name = std::nullopt) {
    std::vector<Bytes> presented;
    for (const IssuedCertificate* certificate : chain) {
      presented.push_back(certificate->Der());
    }
    origin_.certificates = &presented;
    Result<LoginGrant> grant =
        certs.Login(mount_, name ? std::optional(Named(*name)) : std::nullopt, origin_);
    origin_.certificates = nullptr;
    return grant;
  }

  CertAuth certs{sys_, clock_};
  const IssuedCertificate authority = Issue(AuthoritySpec("authority"), nullptr);
  const IssuedCertificate client = Issue(ClientSpec("client"), &authority);
  const IssuedCertificate stranger = Issue(ClientSpec("client"), nullptr);
};

TEST_F(CertAuthTest, GrantsWhatTheEntrySays) {
  CertificateSpec spec = ClientSpec("orders");
  spec.serial = 0x0a1b;
  spec.extensions.emplace_back("1.3.6.1.4.1.99999.1", "ASN1:UTF8String:gold");
  const IssuedCertificate orders = Issue(spec, &authority);
  ASSERT_THAT(certs.WriteEntry(mount_, Named("apps"),
                               [](CertificateEntry& entry) {
                                 entry.metadata_extensions = {"1.3.6.1.4.1.99999.1",
                                                              "1.3.6.1.4.1.99999.2"};
                                 return Ok();
                               }),
              IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant grant, Login({&orders}, "apps"));
  EXPECT_THAT(grant.parameters.policies, ElementsAre("app"));
  EXPECT_EQ(grant.alias, "orders");
  EXPECT_EQ(grant.role, "apps");
  EXPECT_EQ(grant.display_name, "login-apps");
  EXPECT_EQ(grant.bound_certificate, Sha256(orders.Der()));
  EXPECT_EQ(grant.metadata.at("cert_name"), "apps");
  EXPECT_EQ(grant.metadata.at("common_name"), "orders");
  EXPECT_EQ(grant.metadata.at("serial_number"), "2587");
  EXPECT_EQ(grant.metadata.at("subject_key_id").size(), 59U);
  EXPECT_EQ(grant.metadata.at("authority_key_id").size(), 59U);
  EXPECT_EQ(grant.metadata.at("1-3-6-1-4-1-99999-1"), "gold");
  EXPECT_EQ(grant.metadata.size(), 6U);
}

TEST_F(CertAuthTest, WithoutACommonNameTheKeyIsTheAlias) {
  const IssuedCertificate nameless = Issue(ClientSpec(""), &authority);
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant grant, Login({&nameless}));
  EXPECT_THAT(grant.alias, ::testing::MatchesRegex("key-[0-9a-f]{64}"));
  CertificateSpec renewed = ClientSpec("");
  const IssuedCertificate again = Issue(renewed, &authority, nameless.shared_key());
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant same, Login({&again}));
  EXPECT_EQ(same.alias, grant.alias);
}

TEST_F(CertAuthTest, SaysWhenThereIsNoCertificate) {
  const auto refused = HasError(ErrorCode::kInvalidArgument, "no client certificate found");
  EXPECT_THAT(certs.Login(mount_, std::nullopt, origin_), refused);
  EXPECT_THAT(Login({}), refused);
}

TEST_F(CertAuthTest, U19_RefusesWhatNoEntryTrusts) {
  const auto refused = HasError(ErrorCode::kUnauthenticated, kNotTrusted);
  EXPECT_THAT(Login({&stranger}), refused);
  EXPECT_THAT(Login({&stranger, &authority}), refused);
  EXPECT_THAT(Login({&client}, "absent"), refused);
  std::vector<Bytes> garbage{Bytes{1, 2, 3}};
  origin_.certificates = &garbage;
  EXPECT_THAT(certs.Login(mount_, std::nullopt, origin_), refused);
  std::vector<Bytes> of_client{client.Der()};
  origin_.certificates = &of_client;
  EXPECT_THAT(certs.Login(other_mount_, std::nullopt, origin_), refused);
}

TEST_F(CertAuthTest, U19_RefusesWhatHasExpiredSinceItsFirstLogin) {
  CertificateSpec spec = ClientSpec("client");
  spec.not_after = ToUnixSeconds(clock_.Now()) + 60;
  const IssuedCertificate brief = Issue(spec, &authority);
  EXPECT_THAT(Login({&brief}), IsOk());
  clock_.Advance(std::chrono::seconds(61));
  EXPECT_THAT(Login({&brief}), HasError(ErrorCode::kUnauthenticated, kNotTrusted));
}

TEST_F(CertAuthTest, U19_RefusesTheWrongNames) {
  const auto refused = HasError(ErrorCode::kUnauthenticated, kNotMatched);
  WriteEntry("apps", authority, {.dns_names = {"*.example.com"}});
  CertificateSpec spec = ClientSpec("client");
  spec.extensions.emplace_back("subjectAltName", "DNS:app.example.org");
  const IssuedCertificate wrong = Issue(spec, &authority);
  spec.extensions.back().second = "DNS:app.example.com";
  const IssuedCertificate right = Issue(spec, &authority);
  EXPECT_THAT(Login({&wrong}), refused);
  EXPECT_THAT(Login({&client}), refused);
  EXPECT_THAT(Login({&right}), IsOk());
}

TEST_F(CertAuthTest, U19_RefusesARevokedCertificateFromTheNextLoginOn) {
  CertificateSpec spec = ClientSpec("client");
  spec.serial = 99;
  const IssuedCertificate bad = Issue(spec, &authority);
  EXPECT_THAT(Login({&bad}), IsOk());
  ASSERT_THAT(Revoke("ca", {.serials = {99}}, authority), IsOk());
  EXPECT_THAT(Login({&bad}), HasError(ErrorCode::kUnauthenticated, kNotMatched));
  EXPECT_THAT(Login({&client}), IsOk());
  ASSERT_THAT(Revoke("ca", {.serials = {98}}, authority), IsOk());
  EXPECT_THAT(Login({&bad}), IsOk()) << "the list was replaced";
  ASSERT_THAT(Revoke("ca", {.serials = {99}}, authority), IsOk());
  EXPECT_THAT(Login({&bad}), HasError(ErrorCode::kUnauthenticated, kNotMatched));
  ASSERT_THAT(certs.DeleteRevocationList(mount_, Named("ca")), IsOk());
  EXPECT_THAT(Login({&bad}), IsOk());
}

TEST_F(CertAuthTest, U19_AnOutdatedListRefusesEveryCertificateOfItsIssuer) {
  const std::int64_t now = ToUnixSeconds(clock_.Now());
  ASSERT_THAT(Revoke("ca", {.next_update = now + 60}, authority), IsOk());
  EXPECT_THAT(Login({&client}), IsOk());
  clock_.Advance(std::chrono::seconds(61));
  EXPECT_THAT(Login({&client}), HasError(ErrorCode::kUnauthenticated, kNotMatched));
}

TEST_F(CertAuthTest, PinnedCertificatesComeBeforeAuthoritiesAndThenNamesDecide) {
  WriteEntry("zeta", client, {});
  WriteEntry("also", authority, {});
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant pinned, Login({&client}));
  EXPECT_EQ(pinned.role, "zeta");
  const IssuedCertificate other = Issue(ClientSpec("other"), &authority);
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant first, Login({&other}));
  EXPECT_EQ(first.role, "also");
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant named, Login({&client}, "apps"));
  EXPECT_EQ(named.role, "apps");
  EXPECT_THAT(Login({&other}, "zeta"), HasError(ErrorCode::kUnauthenticated, kNotTrusted));
}

TEST_F(CertAuthTest, LogsInOnlyFromTheEntrysBlocks) {
  ASSERT_THAT(certs.WriteEntry(mount_, Named("apps"),
                               [](CertificateEntry& entry) {
                                 entry.parameters.bound_cidrs = {Block("192.168.0.0/16")};
                                 return Ok();
                               }),
              IsOk());
  EXPECT_THAT(Login({&client}), HasError(ErrorCode::kUnauthenticated, kNotMatched));
  origin_.address = "192.168.1.2";
  EXPECT_THAT(Login({&client}), IsOk());
}

TEST_F(CertAuthTest, BindingIsGivenUpOnlyWhenTheSettingsSaySo) {
  EXPECT_THAT(certs.ReadSettings(mount_),
              IsOkAndHolds(::testing::Field(&CertSettings::disable_binding, false)));
  ASSERT_THAT(certs.WriteSettings(mount_, {.disable_binding = true}), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant loose, Login({&client}));
  EXPECT_EQ(loose.bound_certificate, std::nullopt);
  ASSERT_THAT(certs.WriteSettings(mount_, {}), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const LoginGrant bound, Login({&client}));
  EXPECT_EQ(bound.bound_certificate, Sha256(client.Der()));
}

TEST_F(CertAuthTest, AChangedEntryCountsAtOnceAndADeletedOneNoMore) {
  EXPECT_THAT(Login({&client}), IsOk());
  WriteEntry("apps", Issue(AuthoritySpec("another"), nullptr), {});
  EXPECT_THAT(Login({&client}), HasError(ErrorCode::kUnauthenticated, kNotTrusted));
  WriteEntry("apps", authority, {});
  EXPECT_THAT(Login({&client}), IsOk());
  ASSERT_THAT(certs.DeleteEntry(mount_, Named("apps")), IsOk());
  EXPECT_THAT(Login({&client}), HasError(ErrorCode::kUnauthenticated, kNotTrusted));
  EXPECT_THAT(certs.DeleteEntry(mount_, Named("apps")), IsOk()) << "absent";
}

TEST_F(CertAuthTest, ReadsAndListsWhatWasWritten) {
  WriteEntry("other", client, {.names = {"a"}, .common_names = {"b", "c"}});
  KMS_ASSERT_OK_AND_ASSIGN(const auto entry, certs.ReadEntry(mount_, Named("other")));
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->certificate, client.Pem());
  EXPECT_EQ(entry->constraints,
            (CertificateConstraints{.names = {"a"}, .common_names = {"b", "c"}}));
  EXPECT_THAT(certs.ListEntries(mount_, {}, 0), IsOkAndHolds(ElementsAre("apps", "other")));
  EXPECT_THAT(certs.ListEntries(mount_, "apps", 1), IsOkAndHolds(ElementsAre("other")));
  EXPECT_THAT(certs.ListEntries(other_mount_, {}, 0), IsOkAndHolds(IsEmpty()));
  KMS_ASSERT_OK_AND_ASSIGN(const auto absent, certs.ReadEntry(other_mount_, Named("apps")));
  EXPECT_FALSE(absent.has_value());
  ASSERT_THAT(Revoke("ca", {.serials = {7}}, authority), IsOk());
  KMS_ASSERT_OK_AND_ASSIGN(const auto list, certs.ReadRevocationList(mount_, Named("ca")));
  ASSERT_NE(list, nullptr);
  EXPECT_THAT(list->RevokedSerials(9), ElementsAre("7"));
  EXPECT_THAT(certs.ListRevocationLists(mount_, {}, 0), IsOkAndHolds(ElementsAre("ca")));
  KMS_ASSERT_OK_AND_ASSIGN(const auto no_list, certs.ReadRevocationList(mount_, Named("no")));
  EXPECT_EQ(no_list, nullptr);
}

TEST_F(CertAuthTest, RefusesToStoreWhatCannotBeTrusted) {
  const auto write = [&](const std::function<void(CertificateEntry&)>& change) {
    return certs.WriteEntry(mount_, Named("bad"), [&](CertificateEntry& entry) {
      entry.certificate = authority.Pem();
      change(entry);
      return Ok();
    });
  };
  const auto invalid = ErrorCode::kInvalidArgument;
  EXPECT_THAT(write([](CertificateEntry& entry) { entry.certificate = ""; }),
              HasError(invalid, "failed to parse certificate"));
  EXPECT_THAT(write([&](CertificateEntry& entry) { entry.certificate += client.Pem(); }),
              HasError(invalid, HasSubstr("another is not")));
  EXPECT_THAT(
      write([](CertificateEntry& entry) { entry.constraints.required_extensions = {"nonsense"}; }),
      HasError(invalid, HasSubstr("required_extensions")));
  EXPECT_THAT(write([](CertificateEntry& entry) { entry.metadata_extensions = {"not-an-oid"}; }),
              HasError(invalid, HasSubstr("OID")));
  EXPECT_THAT(certs.WriteEntry(mount_, Named("bad"),
                               [](CertificateEntry&) { return Status(InvalidArgument("no")); }),
              HasError(invalid, "no"));
  EXPECT_THAT(certs.ListEntries(mount_, {}, 0), IsOkAndHolds(ElementsAre("apps")));
}

TEST_F(CertAuthTest, AMountHoldsOnlySoManyRevocationLists) {
  for (std::size_t i = 0; i < kMaxRevocationLists; ++i) {
    ASSERT_THAT(Revoke("list-" + std::to_string(i), {}, authority), IsOk());
  }
  EXPECT_THAT(Revoke("more", {}, authority),
              HasError(ErrorCode::kInvalidArgument, HasSubstr("at most 32")));
  EXPECT_THAT(Revoke("list-0", {.number = 2}, authority), IsOk()) << "replaced";
}

TEST_F(CertAuthTest, EveryStoreFaultOfALoginIsAnErrorAndNeverAGrant) {
  ASSERT_THAT(Revoke("ca", {}, authority), IsOk());
  const auto login = [&](std::optional<std::string_view> name) -> Status {
    CertAuth cold(sys_, clock_);
    std::vector<Bytes> presented{client.Der()};
    origin_.certificates = &presented;
    const Result<LoginGrant> grant =
        cold.Login(mount_, name ? std::optional(Named(*name)) : std::nullopt, origin_);
    return grant ? Ok() : Status(grant.error());
  };
  const auto unavailable = [](const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  };
  EXPECT_EQ(WithEveryFault([&] { return login(std::nullopt); }, unavailable), 5);
  EXPECT_EQ(WithEveryFault([&] { return login("apps"); }, unavailable), 4);
}

TEST_F(CertAuthTest, EveryStoreFaultOfAWriteIsAnErrorAndChangesNothing) {
  const auto contents = store_.Contents().size();
  const auto unchanged = [&](const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kUnavailable);
    EXPECT_EQ(store_.Contents().size(), contents);
  };
  EXPECT_EQ(WithEveryFault(
                [&] {
                  return certs.WriteEntry(mount_, Named("new"), [&](CertificateEntry& entry) {
                    entry.certificate = client.Pem();
                    return Ok();
                  });
                },
                unchanged),
            3);
  ASSERT_THAT(certs.DeleteEntry(mount_, Named("new")), IsOk());
  EXPECT_EQ(WithEveryFault([&] { return Revoke("new", {}, authority); }, unchanged), 3);
  ASSERT_THAT(certs.DeleteRevocationList(mount_, Named("new")), IsOk());
  EXPECT_EQ(WithEveryFault([&] { return certs.WriteSettings(mount_, {}); }, unchanged), 1);
}

TEST_F(CertAuthTest, AWriteWhoseCommitIsUnknownIsLookedAt) {
  store_.LoseNextCommitAnswer();
  WriteEntry("kept", client, {});
  store_.FailCommit(1, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(Revoke("lost", {}, authority), HasError(ErrorCode::kUnavailable));
  EXPECT_THAT(certs.ListEntries(mount_, {}, 0), IsOkAndHolds(ElementsAre("apps", "kept")));
  EXPECT_THAT(certs.ListRevocationLists(mount_, {}, 0), IsOkAndHolds(IsEmpty()));
}

TEST_F(CertAuthTest, ADamagedOrMovedRecordLetsNobodyIn) {
  ASSERT_THAT(Revoke("ca", {}, authority), IsOk());
  const std::string at = sys_.prefix() + "auth/auth_login_1a2b3c4d/";
  const auto contents = store_.Contents();
  store_.Tamper(at + "crls/ca", contents.at(at + "certs/apps").value);
  EXPECT_THAT(Login({&client}), HasError(ErrorCode::kCorrupted));
  store_.Tamper(at + "crls/ca", contents.at(at + "crls/ca").value);
  store_.Tamper(at + "certs/moved", contents.at(at + "certs/apps").value);
  EXPECT_THAT(Login({&client}, "moved"), HasError(ErrorCode::kCorrupted));
}

TEST_F(CertAuthTest, ManyLoginsAtOnceWhileAListComesAndGoes) {
  CertificateSpec spec = ClientSpec("client");
  spec.serial = 99;
  const IssuedCertificate bad = Issue(spec, &authority);
  std::vector<std::thread> threads;
  std::atomic<int> granted{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const std::vector<Bytes> good{client.Der()};
      for (int n = 0; n < 50; ++n) {
        const LoginOrigin origin{.address = "10.0.0.7", .certificates = &good};
        granted += certs.Login(mount_, std::nullopt, origin).has_value() ? 1 : 0;
      }
    });
  }
  for (int n = 0; n < 50; ++n) {
    ASSERT_THAT(Revoke("ca", {.serials = {99}}, authority), IsOk());
    EXPECT_THAT(Login({&bad}), HasError(ErrorCode::kUnauthenticated, kNotMatched));
    ASSERT_THAT(certs.DeleteRevocationList(mount_, Named("ca")), IsOk());
    EXPECT_THAT(Login({&bad}), IsOk());
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(granted, 200);
}

// ---- stored formats: written once, they open for ever ------------------------------------------

// Made by hand from the drawings in cert_records.cpp and token_parameters_codec.cpp.
constexpr std::string_view kParameters =
    "000000480102000000000000000058000000000000005900000000000000000000000000000000"
    "00000000000000030000000100000003617070000000010000000a31302e302e302e302f38";

template <typename Record>
void ExpectOnlyTheWholeOpens(const Bytes& whole, Result<Record> (*decode)(ByteView)) {
  EXPECT_THAT(decode(whole), IsOk());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(decode(ByteView(whole).first(size)), HasError(ErrorCode::kCorrupted)) << size;
  }
  Bytes changed = whole;
  changed.push_back(0);
  EXPECT_THAT(decode(changed), HasError(ErrorCode::kCorrupted));
  changed.pop_back();
  changed[1] = 2;  // a format of the future
  EXPECT_THAT(decode(changed), HasError(ErrorCode::kCorrupted));
  changed[1] = 1;
  changed[0] ^= 1;  // another kind
  EXPECT_THAT(decode(changed), HasError(ErrorCode::kCorrupted));
}

std::string HexOf(const SecretBytes& bytes) { return HexEncode(bytes.View()); }

TEST(CertRecords, OpenTheFrozenEntry) {
  const std::string hex =
      "6301"
      "00000003"
      "50454d"  // "PEM"
      "00000001"
      "00000001"
      "61"  // names: "a"
      "00000002"
      "00000001"
      "62"
      "00000001"
      "63"  // common names: "b", "c"
      "00000001"
      "00000001"
      "64"  // DNS names: "d"
      "00000001"
      "00000001"
      "65"  // email addresses: "e"
      "00000001"
      "00000001"
      "66"  // URIs: "f"
      "00000001"
      "00000001"
      "67"  // organizational units: "g"
      "00000001"
      "00000003"
      "312e32"  // required extensions: "1.2"
      "00000001"
      "00000003"
      "312e33"  // metadata extensions: "1.3"
      "00000004"
      "73686f77" +  // "show"
      std::string(kParameters);
  const Bytes frozen = BytesOfHex(hex);
  KMS_ASSERT_OK_AND_ASSIGN(const CertificateEntry entry, DecodeCertificateEntry(frozen));
  EXPECT_EQ(entry.certificate, "PEM");
  EXPECT_EQ(entry.constraints, (CertificateConstraints{.names = {"a"},
                                                       .common_names = {"b", "c"},
                                                       .dns_names = {"d"},
                                                       .email_addresses = {"e"},
                                                       .uris = {"f"},
                                                       .organizational_units = {"g"},
                                                       .required_extensions = {"1.2"}}));
  EXPECT_THAT(entry.metadata_extensions, ElementsAre("1.3"));
  EXPECT_EQ(entry.display_name, "show");
  EXPECT_THAT(entry.parameters.policies, ElementsAre("app"));
  EXPECT_EQ(entry.parameters.ttl_seconds, 88);
  EXPECT_EQ(HexOf(EncodeCertificateEntry(entry).value()), hex);
  ExpectOnlyTheWholeOpens(frozen, DecodeCertificateEntry);
}

TEST(CertRecords, OpenTheFrozenListAndSettings) {
  const Bytes list = BytesOfHex(
      "7201"
      "00000003"
      "010203");
  EXPECT_THAT(DecodeRevocationListEntry(list), IsOkAndHolds(Bytes{1, 2, 3}));
  EXPECT_EQ(HexOf(EncodeRevocationListEntry(Bytes{1, 2, 3}).value()), HexEncode(list));
  ExpectOnlyTheWholeOpens(list, DecodeRevocationListEntry);
  const Bytes settings = BytesOfHex("730101");
  KMS_ASSERT_OK_AND_ASSIGN(const CertSettings decoded, DecodeCertSettings(settings));
  EXPECT_TRUE(decoded.disable_binding);
  EXPECT_EQ(HexOf(EncodeCertSettings(decoded).value()), "730101");
  ExpectOnlyTheWholeOpens(settings, DecodeCertSettings);
  EXPECT_THAT(DecodeCertSettings(BytesOfHex("730102")), HasError(ErrorCode::kCorrupted));
}

}  // namespace
}  // namespace kms
