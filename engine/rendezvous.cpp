#include "engine/rendezvous.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "engine/error.h"

namespace affuse {
namespace {

using Clock = std::chrono::steady_clock;
enum class Line : std::int32_t { link, watch };

/// The first thing on each connection, in both directions.
struct Hello {
  std::uint32_t magic = 0x66666161;
  std::int32_t rank = 0, size = 0;
  Line line = Line::link;
  std::int64_t process = 0;
  std::array<char, 64> job{}, host{};
};

void copy(const std::string& from, std::array<char, 64>& to) {
  std::copy_n(from.begin(), std::min(from.size(), to.size() - 1), to.begin());
}

Hello hello_of(const Ranks& ranks, Line line) {
  Hello out;
  out.rank = ranks.rank;
  out.size = ranks.size;
  out.line = line;
  out.process = ::getpid();
  copy(ranks.job, out.job);
  std::array<char, 64> host{};
  ::gethostname(host.data(), host.size() - 1);
  out.host = host;
  return out;
}

std::string text_of(const Hello& hello) {
  return fmt::format("rank {} ({}, process {})", hello.rank, hello.host.data(), hello.process);
}

/// Whoever knocks by mistake, such as another job's process, is turned away.
bool belongs(const Hello& hello, const Ranks& ranks) {
  if (hello.magic != Hello{}.magic || hello.job != hello_of(ranks, Line::link).job) return false;
  if (hello.size != ranks.size || hello.rank < 1 || hello.rank >= ranks.size)
    throw Error(fmt::format("{} came as one of {} to a training of {}", text_of(hello), hello.size,
                            ranks.size));
  return true;
}

/// The ranks that have not come: "rank 1, rank 3".
std::string missing(const std::array<std::vector<Socket>, 2>& lines) {
  std::string out;
  for (std::size_t i = 0; i < lines[0].size(); ++i)
    if (lines[0][i].fd() < 0 || lines[1][i].fd() < 0)
      out += fmt::format("{}rank {}", out.empty() ? "" : ", ", i + 1);
  return out;
}

Meeting host(const Ranks& ranks, Deadline deadline, double timeout_s) {
  const auto others = static_cast<std::size_t>(ranks.size) - 1;
  const Socket door = Socket::listen(ranks.port);
  std::array<std::vector<Socket>, 2> lines;
  for (auto& line : lines) line.resize(others);
  std::vector<Hello> hellos(others + 1, hello_of(ranks, Line::link));
  for (std::size_t come = 0; come < 2 * others;) {
    std::optional<Socket> socket = door.accept(deadline);
    if (!socket)
      throw Error(fmt::format("{} did not come to {}:{} within {} s", missing(lines), ranks.address,
                              ranks.port, timeout_s));
    Hello hello;
    const Deadline soon = std::min(deadline, Clock::now() + std::chrono::seconds(5));
    if (!socket->receive(&hello, sizeof hello, soon) || !belongs(hello, ranks)) continue;
    const auto rank = static_cast<std::size_t>(hello.rank);
    Socket& place = lines[hello.line == Line::watch ? 1 : 0][rank - 1];
    if (place.fd() >= 0) throw Error(text_of(hello) + " came, but that rank is there already");
    socket->send(&hellos[0], sizeof(Hello));
    place = std::move(*socket);
    hellos[rank] = hello;
    ++come;
  }
  Meeting out;
  for (const Hello& hello : hellos) out.who.push_back(text_of(hello));
  for (std::size_t i = 0; i < others; ++i) {
    lines[0][i].send(hellos.data(), hellos.size() * sizeof(Hello));
    out.peers.push_back({static_cast<int>(i) + 1, std::move(lines[1][i])});
  }
  out.links = std::move(lines[0]);
  return out;
}

void await(const Socket& socket, const Ranks& ranks, void* data, std::size_t bytes,
           Deadline deadline) {
  if (socket.receive(data, bytes, deadline)) return;
  throw Error(fmt::format("rank 0 at {}:{} turned this rank away, ended, or misses others",
                          ranks.address, ranks.port));
}

/// A connection that rank 0 has taken.
Socket visit(const Ranks& ranks, Line line, Deadline deadline, double timeout_s) {
  std::optional<Socket> socket = Socket::connect(ranks.address, ranks.port, deadline);
  if (!socket)
    throw Error(
        fmt::format("rank 0 does not answer at {}:{} within {} s (MASTER_ADDR, "
                    "MASTER_PORT)",
                    ranks.address, ranks.port, timeout_s));
  Hello hello = hello_of(ranks, line);
  socket->send(&hello, sizeof hello);
  await(*socket, ranks, &hello, sizeof hello, deadline);
  return std::move(*socket);
}

Meeting come(const Ranks& ranks, Deadline deadline, double timeout_s) {
  Socket link = visit(ranks, Line::link, deadline, timeout_s);
  Socket watch = visit(ranks, Line::watch, deadline, timeout_s);
  // Rank 0 may have begun to wait later than this rank: its own time decides who is missing.
  std::vector<Hello> hellos(static_cast<std::size_t>(ranks.size));
  await(link, ranks, hellos.data(), hellos.size() * sizeof(Hello),
        deadline + std::chrono::ceil<Clock::duration>(std::chrono::duration<double>(timeout_s)));
  Meeting out;
  for (const Hello& hello : hellos) out.who.push_back(text_of(hello));
  out.links.push_back(std::move(link));
  out.peers.push_back({0, std::move(watch)});
  return out;
}

}  // namespace

Meeting meet(const Ranks& ranks, double timeout_s) {
  const Deadline deadline =
      Clock::now() + std::chrono::ceil<Clock::duration>(std::chrono::duration<double>(timeout_s));
  return ranks.rank == 0 ? host(ranks, deadline, timeout_s) : come(ranks, deadline, timeout_s);
}

}  // namespace affuse
