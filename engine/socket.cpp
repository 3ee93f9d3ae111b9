#include "engine/socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "engine/error.h"

namespace affuse {
namespace {

using Clock = std::chrono::steady_clock;
using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

int milliseconds_to(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3600 * 1000));
}

/// Whether there is something to read before the deadline.
bool readable(int fd, Deadline deadline) {
  for (;;) {
    pollfd poll{fd, POLLIN, 0};
    const int n = ::poll(&poll, 1, milliseconds_to(deadline));
    if (n > 0) return true;
    if (n == 0 && Clock::now() >= deadline) return false;
    if (n < 0 && errno != EINTR) return false;
  }
}

/// For sending, and on Linux for connecting; 0: for ever.
void set_patience(int fd, int seconds) {
  const timeval time{seconds, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

void without_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Addresses resolve(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) throw Error(fmt::format("MASTER_ADDR={}: {}", host, ::gai_strerror(error)));
  return {found, &::freeaddrinfo};
}

}  // namespace

Socket::Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

Socket Socket::listen(int port) {
  // One socket for both families; where the kernel has no IPv6, IPv4 alone.
  const int six = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Socket out(six >= 0 ? six : ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1, off = 0;
  ::setsockopt(out.fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in6 any6{};
  any6.sin6_family = AF_INET6;
  any6.sin6_port = htons(static_cast<std::uint16_t>(port));
  sockaddr_in any4{};
  any4.sin_family = AF_INET;
  any4.sin_port = any6.sin6_port;
  if (six >= 0) ::setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const auto* address = six >= 0 ? reinterpret_cast<const sockaddr*>(&any6)
                                 : reinterpret_cast<const sockaddr*>(&any4);
  const socklen_t length = six >= 0 ? sizeof any6 : sizeof any4;
  if (out.fd_ < 0 || ::bind(out.fd_, address, length) != 0 || ::listen(out.fd_, SOMAXCONN) != 0)
    throw Error(fmt::format("rank 0 cannot listen on port {}: {}; set MASTER_PORT to a free one",
                            port, std::strerror(errno)));
  return out;
}

std::optional<Socket> Socket::connect(const std::string& host, int port, Deadline deadline) {
  const Addresses addresses = resolve(host, port);
  do {
    for (const addrinfo* a = addresses.get(); a != nullptr; a = a->ai_next) {
      Socket out(::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol));
      set_patience(out.fd_, 5);
      if (out.fd_ < 0 || ::connect(out.fd_, a->ai_addr, a->ai_addrlen) != 0) continue;
      set_patience(out.fd_, 0);
      without_delay(out.fd_);
      return out;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  } while (Clock::now() < deadline);
  return {};
}

std::optional<Socket> Socket::accept(Deadline deadline) const {
  while (readable(fd_, deadline)) {
    Socket out(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
    if (out.fd_ < 0) continue;  // it went away meanwhile
    without_delay(out.fd_);
    return out;
  }
  return {};
}

bool Socket::send(const void* data, std::size_t bytes) const {
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::send(fd_, from, bytes, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    from += n;
    bytes -= static_cast<std::size_t>(n);
  }
  return true;
}

bool Socket::receive(void* data, std::size_t bytes, std::optional<Deadline> deadline) const {
  auto* to = static_cast<char*>(data);
  while (bytes > 0) {
    if (deadline && !readable(fd_, *deadline)) return false;
    const ssize_t n = ::recv(fd_, to, bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    to += n;
    bytes -= static_cast<std::size_t>(n);
  }
  return true;
}

void Socket::shut() const {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
}

}  // namespace affuse
