// The way of summing that fits how the ranks were started.
#include <utility>

#include "kernels/backend.h"
#include "kernels/cpu/mpi_communicator.h"
#include "kernels/cpu/tcp_communicator.h"

namespace affuse {

std::shared_ptr<Communicator> make_cpu_communicator(std::shared_ptr<RankGroup> group) {
  if (group->size() == 1) return std::make_shared<Communicator>();
  if (group->ranks().launcher == "torchrun")
    return std::make_shared<cpu::TcpCommunicator>(std::move(group));
  return cpu::make_mpi_communicator(std::move(group));
}

}  // namespace affuse
