// A TCP connection: whole messages in, whole messages out.
#pragma once
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace affuse {

using Deadline = std::chrono::steady_clock::time_point;

/// Owns a socket. Bytes are sent as they lie in memory: both ends are the same program.
class Socket {
 public:
  Socket() = default;
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  /// Listens on every interface. Throws Error naming the port.
  static Socket listen(int port);
  /// Tries until the deadline; nothing when it has passed. Throws Error for an unknown host.
  static std::optional<Socket> connect(const std::string& host, int port, Deadline deadline);
  /// The next connection, or nothing when the deadline has passed.
  std::optional<Socket> accept(Deadline deadline) const;

  /// False when the connection is gone.
  bool send(const void* data, std::size_t bytes) const;
  /// False when the connection is gone or, where there is a deadline, that has passed.
  bool receive(void* data, std::size_t bytes, std::optional<Deadline> deadline = {}) const;
  /// Ends the connection in both directions; whoever waits on it wakes.
  void shut() const;

  int fd() const { return fd_; }

 private:
  explicit Socket(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace affuse
