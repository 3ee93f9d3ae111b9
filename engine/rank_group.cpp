#include "engine/rank_group.h"

#include <algorithm>
#include <utility>

#include "engine/error.h"
#include "engine/rendezvous.h"

namespace affuse {

RankGroup::RankGroup(const Ranks& ranks, double timeout_s,
                     std::function<void(const std::string&)> on_lost)
    : ranks_(ranks) {
  if (ranks_.size == 1) return;
  Meeting meeting = meet(ranks_, timeout_s);
  links_ = std::move(meeting.links);
  // Whoever waits for a rank that is lost wakes, also where on_lost does not end the process.
  auto wake = [this, on_lost = std::move(on_lost)](const std::string& line) {
    if (on_lost) on_lost(line);
    for (const Socket& link : links_) link.shut();
  };
  watch_ = std::make_unique<RankWatch>(std::move(meeting.peers), std::move(meeting.who), timeout_s,
                                       std::move(wake));
}

RankGroup::~RankGroup() = default;

void RankGroup::leave() {
  if (watch_ != nullptr) watch_->leave();
}

void RankGroup::fail(const std::string& what) {
  const std::string line = watch_ != nullptr ? watch_->verdict() : std::string();
  throw Error(line.empty() ? what : line);
}

void RankGroup::send(const Socket& to, const void* data, std::size_t bytes) {
  if (!to.send(data, bytes)) fail("the connection to another rank broke");
}

void RankGroup::receive(const Socket& from, void* data, std::size_t bytes) {
  if (!from.receive(data, bytes)) fail("the connection to another rank broke");
}

template <class T, class Combine>
void RankGroup::combine(T* data, std::size_t count, Combine combine) {
  const std::size_t bytes = count * sizeof(T);
  if (!first()) {
    send(links_[0], data, bytes);
    receive(links_[0], data, bytes);
    return;
  }
  std::vector<T> other(links_.empty() ? 0 : count);
  for (const Socket& link : links_) {
    receive(link, other.data(), bytes);
    std::transform(other.begin(), other.end(), data, data,
                   [&](T theirs, T ours) { return combine(ours, theirs); });
  }
  for (const Socket& link : links_) send(link, data, bytes);
}

void RankGroup::sum(double* data, std::size_t count) { combine(data, count, std::plus<double>()); }

void RankGroup::sum(float* data, std::size_t count) { combine(data, count, std::plus<float>()); }

void RankGroup::max(double* data, std::size_t count) {
  combine(data, count, [](double a, double b) { return std::max(a, b); });
}

void RankGroup::barrier() {
  double nothing = 0;
  sum(&nothing, 1);
}

void RankGroup::broadcast(void* data, std::size_t bytes) {
  for (const Socket& link : links_) first() ? send(link, data, bytes) : receive(link, data, bytes);
}

std::string RankGroup::broadcast(const std::string& text) {
  std::uint64_t length = text.size();
  broadcast(&length, sizeof length);
  std::string out = text;
  out.resize(length);
  broadcast(out.data(), out.size());
  return out;
}

}  // namespace affuse
