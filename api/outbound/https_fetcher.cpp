// SPDX-License-Identifier: Apache-2.0
#include "api/outbound/https_fetcher.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>

#include "kms/auth/cidr.h"
#include "kms/auth/outbound_url.h"

namespace kms {

namespace {

constexpr std::size_t kMaxHeadBytes = std::size_t{64} << 10U;
constexpr long kOk = 200;

struct HandleDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// What the library's callbacks work on.
struct Transfer {
  std::string body;
  std::size_t max_bytes = 0;
  std::size_t head_bytes = 0;
  bool loopback_only = false;
  bool too_large = false;
  bool address_refused = false;
};

std::optional<IpAddress> AddressOf(const sockaddr& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address.sa_family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  } else if (address.sa_family == AF_INET6) {
    bytes = &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  }
  if (bytes == nullptr ||
      ::inet_ntop(address.sa_family, bytes, text.data(), text.size()) == nullptr) {
    return std::nullopt;
  }
  return IpAddress::Parse(text.data());
}

// Asked after the name was resolved and before anything is sent, so no name can get around it.
curl_socket_t OpenSocket(void* context, curlsocktype /*purpose*/, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::optional<IpAddress> target = AddressOf(address->addr);
  if (!target || !MayConnectTo(*target, transfer.loopback_only)) {
    transfer.address_refused = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

std::size_t TakeBody(char* data, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::size_t bytes = size * count;
  if (bytes > transfer.max_bytes - transfer.body.size()) {
    transfer.too_large = true;
    return 0;
  }
  transfer.body.append(data, bytes);
  return bytes;
}

std::size_t CountHead(char* /*data*/, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.head_bytes += size * count;
  if (transfer.head_bytes > kMaxHeadBytes) {
    transfer.too_large = true;
    return 0;
  }
  return size * count;
}

template <typename Value>
bool Set(CURL* handle, CURLoption option, Value value) {
  return curl_easy_setopt(handle, option, value) == CURLE_OK;
}

bool SetTarget(CURL* handle, const OutboundUrl& url, curl_slist* head) {
  return Set(handle, CURLOPT_URL, url.text.c_str()) &&
         Set(handle, CURLOPT_PROTOCOLS_STR, url.is_https ? "https" : "http") &&
         Set(handle, CURLOPT_FOLLOWLOCATION, 0L) && Set(handle, CURLOPT_PROXY, "") &&
         Set(handle, CURLOPT_NOPROXY, "*") && Set(handle, CURLOPT_PATH_AS_IS, 1L) &&
         Set(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1)) &&
         Set(handle, CURLOPT_USERAGENT, "kmsd") && Set(handle, CURLOPT_HTTPHEADER, head) &&
         Set(handle, CURLOPT_FORBID_REUSE, 1L) && Set(handle, CURLOPT_NOSIGNAL, 1L);
}

// `ca_pem` lives longer than the transfer.
bool SetTrust(CURL* handle, std::string_view ca_pem) {
  const bool verified = Set(handle, CURLOPT_SSL_VERIFYPEER, 1L) &&
                        Set(handle, CURLOPT_SSL_VERIFYHOST, 2L) &&
                        Set(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!verified || ca_pem.empty()) {
    return verified;
  }
  curl_blob authorities{.data = const_cast<char*>(ca_pem.data()),  // only read
                        .len = ca_pem.size(),
                        .flags = CURL_BLOB_NOCOPY};
  const char* const none = nullptr;
  // The blob replaces the file of the system's authorities but not their directory.
  return Set(handle, CURLOPT_CAINFO_BLOB, &authorities) && Set(handle, CURLOPT_CAPATH, none);
}

bool SetCallbacks(CURL* handle, Transfer& transfer) {
  return Set(handle, CURLOPT_OPENSOCKETFUNCTION, &OpenSocket) &&
         Set(handle, CURLOPT_OPENSOCKETDATA, &transfer) &&
         Set(handle, CURLOPT_WRITEFUNCTION, &TakeBody) &&
         Set(handle, CURLOPT_WRITEDATA, &transfer) &&
         Set(handle, CURLOPT_HEADERFUNCTION, &CountHead) &&
         Set(handle, CURLOPT_HEADERDATA, &transfer) &&
         Set(handle, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(transfer.max_bytes));
}

Error NotFetched(const std::string& why, std::string detail = {}) {
  return Unavailable("the document was not fetched: " + why, std::move(detail));
}

Error ReasonOf(CURLcode code, const Transfer& transfer, const char* detail) {
  if (transfer.address_refused) {
    return NotFetched("its server has an address that is not allowed", detail);
  }
  if (transfer.too_large || code == CURLE_FILESIZE_EXCEEDED) {
    return NotFetched("it is too large", detail);
  }
  return NotFetched(curl_easy_strerror(code), detail);
}

}  // namespace

HttpsFetcher::HttpsFetcher() {
  static const CURLcode prepared = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(prepared);  // what failed fails again at every transfer
}

Result<std::string> HttpsFetcher::Fetch(const std::string& url, std::string_view ca_pem,
                                        std::size_t max_bytes, Deadline deadline) {
  const OutboundUrl target = KMS_TRY(ParseOutboundUrl(url));
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  if (left.count() <= 0) {
    return NotFetched("there is no time left");
  }
  Transfer transfer{.max_bytes = max_bytes, .loopback_only = !target.is_https};
  std::array<char, CURL_ERROR_SIZE> detail{};
  const std::unique_ptr<curl_slist, ListDeleter> head(
      curl_slist_append(nullptr, "Accept: application/json"));
  const std::unique_ptr<CURL, HandleDeleter> handle(curl_easy_init());
  if (handle == nullptr || head == nullptr || !SetTarget(handle.get(), target, head.get()) ||
      !SetTrust(handle.get(), ca_pem) || !SetCallbacks(handle.get(), transfer) ||
      !Set(handle.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(left.count())) ||
      !Set(handle.get(), CURLOPT_ERRORBUFFER, detail.data())) {
    return Internal("the HTTP client does not take its options");
  }
  const CURLcode code = curl_easy_perform(handle.get());
  if (code != CURLE_OK) {
    return ReasonOf(code, transfer, detail.data());
  }
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != kOk) {
    return NotFetched("its server answered with status " + std::to_string(status));
  }
  return std::move(transfer.body);
}

}  // namespace kms
