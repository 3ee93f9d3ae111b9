// Ranks that are threads of the test, in touch over this machine's TCP.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/rank_group.h"

namespace affuse::test {

/// A port that nobody listens on.
inline int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  socklen_t length = sizeof any;
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&any), length), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&any), &length), 0);
  ::close(fd);
  return ntohs(any.sin_port);
}

inline Ranks local_rank(int rank, int size, int port) {
  Ranks ranks;
  ranks.rank = ranks.local_rank = rank;
  ranks.size = size;
  ranks.launcher = "torchrun";
  ranks.address = "127.0.0.1";
  ranks.port = port;
  ranks.job = "test";
  return ranks;
}

/// Runs `body` once a rank, each on a thread of its own.
inline void for_each_rank(int size, const std::function<void(int rank, const Ranks&)>& body) {
  const int port = free_port();
  std::vector<std::jthread> threads;
  for (int r = 0; r < size; ++r)
    threads.emplace_back([&body, r, size, port] { body(r, local_rank(r, size, port)); });
}

/// The same with groups that have met, and that part in peace.
inline void for_each_group(int size,
                           const std::function<void(const std::shared_ptr<RankGroup>&)>& body) {
  for_each_rank(size, [&](int, const Ranks& ranks) {
    const auto group = std::make_shared<RankGroup>(
        ranks, 20, [](const std::string& line) { ADD_FAILURE() << line; });
    body(group);
    group->barrier();
    group->leave();
  });
}

}  // namespace affuse::test
