#include "engine/rank_watch.h"

#include <algorithm>
#include <utility>

#include <poll.h>

namespace affuse {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr char kAlive = '.', kBye = 'B', kFailed = 'F', kLost = 'L';
constexpr milliseconds kGlance{50};  // how soon the thread sees that it is to stop
// What another rank failed at, this one often fails at, too: it says so itself if given the time.
constexpr milliseconds kGrace{4000};

}  // namespace

RankWatch::RankWatch(std::vector<Peer> peers, std::vector<std::string> who, double timeout_s,
                     std::function<void(const std::string&)> on_lost)
    : peers_(std::move(peers)),
      who_(std::move(who)),
      timeout_(timeout_s),
      on_lost_(std::move(on_lost)),
      thread_([this] { watch(); }) {}

RankWatch::~RankWatch() { part(kFailed); }

void RankWatch::leave() { part(kBye); }

void RankWatch::part(char word) {
  if (!thread_.joinable()) return;
  stopping_ = true;
  thread_.join();
  const Message message{word, -1};
  for (const Peer& peer : peers_) peer.socket.send(&message, sizeof message);
}

std::string RankWatch::verdict() {
  std::unique_lock lock(mutex_);
  lost_.wait_for(lock, kGrace + std::chrono::seconds(2), [this] { return !line_.empty(); });
  return line_;
}

void RankWatch::watch() {
  const Clock::duration interval = std::chrono::duration_cast<Clock::duration>(
      std::min<std::chrono::duration<double>>(timeout_ / 6, std::chrono::seconds(5)));
  Clock::time_point sent = Clock::now();
  std::vector<Clock::time_point> heard(peers_.size(), sent);
  std::vector<bool> gone(peers_.size(), false);
  while (!stopping_) {
    std::vector<pollfd> polls;
    for (std::size_t i = 0; i < peers_.size(); ++i)
      polls.push_back({gone[i] ? -1 : peers_[i].socket.fd(), POLLIN, 0});
    ::poll(polls.data(), polls.size(), static_cast<int>(kGlance.count()));
    const Clock::time_point now = Clock::now();
    for (std::size_t i = 0; i < peers_.size() && !stopping_; ++i) {
      if (gone[i]) continue;
      if (polls[i].revents != 0) {
        heard[i] = now;
        gone[i] = hear(peers_[i]);
      } else if (now - heard[i] > timeout_) {
        lose(peers_[i].rank, "gives no sign of life");
      }
    }
    if (now - sent < interval) continue;
    sent = now;
    const Message message{kAlive, -1};
    for (std::size_t i = 0; i < peers_.size(); ++i)
      if (!gone[i]) peers_[i].socket.send(&message, sizeof message);
  }
}

/// Whether the peer parted in peace.
bool RankWatch::hear(const Peer& peer) {
  Message message{};
  if (!peer.socket.receive(&message, sizeof message)) {
    lose(peer.rank, "ended");
  } else if (message.kind == kFailed) {
    const Clock::time_point end = Clock::now() + kGrace;
    while (!stopping_ && Clock::now() < end) std::this_thread::sleep_for(kGlance);
    if (!stopping_) lose(peer.rank, "failed");
  } else if (message.kind == kLost) {
    lose(message.rank, "ended");
  }
  return message.kind == kBye;
}

/// Tells the others first: on_lost may end the process.
void RankWatch::lose(int rank, const char* how) {
  stopping_ = true;
  const Message message{kLost, rank};
  for (const Peer& peer : peers_)
    if (peers_.size() > 1 && peer.rank != rank) peer.socket.send(&message, sizeof message);
  const std::string line = who_[static_cast<std::size_t>(rank)] + " " + how + "; this rank stops";
  {
    const std::scoped_lock lock(mutex_);
    line_ = line;
  }
  lost_.notify_all();
  if (on_lost_) on_lost_(line);
}

}  // namespace affuse
