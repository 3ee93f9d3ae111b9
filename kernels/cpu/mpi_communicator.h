// Sums by MPI, which need not block.
#pragma once
#include <memory>

#include "engine/communicator.h"
#include "engine/rank_group.h"

namespace affuse::cpu {

/// Starts MPI, which the process can do once, and ends it with the communicator. Throws DeviceError
/// where this build has no MPI, or where MPI does not see the group's processes.
std::shared_ptr<Communicator> make_mpi_communicator(std::shared_ptr<RankGroup> group);

}  // namespace affuse::cpu
