// Notices that another rank has ended.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/socket.h"

namespace affuse {

/// Watches connections on a thread of its own: rank 0 one to every other rank, the others one to
/// rank 0. Each end sends a sign of life every few seconds; one that closes its end without a word,
/// or is silent for too long, is lost. Rank 0 tells the rest.
class RankWatch {
 public:
  struct Peer {
    int rank;
    Socket socket;
  };
  /// `who[r]`: "rank 1 (host, process 1234)". `on_lost` is called once, on the watching thread,
  /// with "rank 1 (host, process 1234) ended; this rank stops".
  RankWatch(std::vector<Peer> peers, std::vector<std::string> who, double timeout_s,
            std::function<void(const std::string&)> on_lost);
  RankWatch(const RankWatch&) = delete;
  RankWatch& operator=(const RankWatch&) = delete;
  /// Without leave(): tells the others that this rank failed.
  ~RankWatch();

  /// Parts from the others in peace.
  void leave();
  /// The line of on_lost; waits a moment for it. Empty where nobody is lost.
  std::string verdict();

 private:
  struct Message {
    char kind;
    int rank;
  };

  void watch();
  bool hear(const Peer& peer);
  void lose(int rank, const char* how);
  void part(char word);

  std::vector<Peer> peers_;
  std::vector<std::string> who_;
  std::chrono::duration<double> timeout_;
  std::function<void(const std::string&)> on_lost_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable lost_;
  std::string line_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace affuse
