// How the ranks find each other: rank 0 listens, the others come.
#pragma once
#include <string>
#include <vector>

#include "engine/rank_watch.h"
#include "engine/ranks.h"

namespace affuse {

struct Meeting {
  std::vector<Socket> links;           ///< rank 0: to rank i + 1; others: to rank 0
  std::vector<RankWatch::Peer> peers;  ///< a second connection each, for the watch
  std::vector<std::string> who;        ///< "rank 1 (host, process 1234)", by rank
};

/// Throws Error naming the ranks that have not come after `timeout_s`, or rank 0's address.
Meeting meet(const Ranks& ranks, double timeout_s);

}  // namespace affuse
