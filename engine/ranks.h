// Which of how many processes this one is: what srun, mpirun and torchrun say in the environment.
#pragma once
#include <functional>
#include <string>

namespace affuse {

struct Ranks {
  int rank = 0;          ///< 0 .. size - 1
  int size = 1;          ///< processes in all
  int local_rank = 0;    ///< among those of this machine: the device to take
  std::string launcher;  ///< "srun", "mpirun", "torchrun"; empty: started alone
  std::string address;   ///< where rank 0 listens; empty when size is 1
  int port = 0;
  std::string job;  ///< what the processes of one start have in common, and no others
};

/// A variable's value, or null: std::getenv.
using Environment = std::function<const char*(const char*)>;

/// Reads mpirun's variables (OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK), else torchrun's (RANK,
/// WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), else srun's (SLURM_PROCID, SLURM_NTASKS,
/// SLURM_LOCALID), which the others inherit. MASTER_ADDR and MASTER_PORT go before what mpirun and
/// srun tell of the place. Throws ConfigError for values that are missing, malformed or do not
/// fit each other.
Ranks ranks_from_environment(const Environment& get);

/// Seconds after which a rank that is silent counts as lost: AFFUSE_RANK_TIMEOUT_S, or 60.
double rank_timeout_s(const Environment& get);

/// The first machine of Slurm's list: "node03" of "node[03-05,9],gpu1".
std::string first_host(const std::string& node_list);

}  // namespace affuse
