#include "engine/ranks.h"

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "engine/error.h"

namespace affuse {
namespace {

/// The variables of a launcher.
struct Names {
  const char *launcher, *rank, *size, *local_rank;
};
constexpr Names kTorchrun{"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK"};
constexpr Names kMpirun{"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                        "OMPI_COMM_WORLD_LOCAL_RANK"};
constexpr Names kSrun{"srun", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"};

constexpr const char* kAddress = "MASTER_ADDR";
constexpr const char* kPort = "MASTER_PORT";
constexpr const char* kHere = "127.0.0.1";
constexpr int kMaxRanks = 65536;

std::string text(const Environment& get, const char* name) {
  const char* value = get(name);
  return value != nullptr ? value : "";
}

int number(const Environment& get, const char* name, int least, int most) {
  const std::string value = text(get, name);
  int out = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, out);
  if (error != std::errc{} || stop != end || out < least || out > most)
    throw ConfigError(
        fmt::format("{}={}: expected an integer from {} to {}", name, value, least, most));
  return out;
}

/// Rank, size and local rank of a launcher; nothing where none of its two main variables is set.
std::optional<Ranks> read(const Environment& get, const Names& names) {
  const bool has_rank = get(names.rank) != nullptr, has_size = get(names.size) != nullptr;
  if (!has_rank && !has_size) return {};
  Ranks out;
  out.launcher = names.launcher;
  if (has_size) out.size = number(get, names.size, 1, kMaxRanks);
  if (!has_rank || !has_size)
    throw ConfigError(
        fmt::format("{} is set but {} is not; start through srun, mpirun or "
                    "torchrun, or unset it for a single process",
                    has_rank ? names.rank : names.size, has_rank ? names.size : names.rank));
  out.rank = number(get, names.rank, 0, kMaxRanks);
  if (out.rank >= out.size)
    throw ConfigError(
        fmt::format("{}={} is not below {}={}", names.rank, out.rank, names.size, out.size));
  if (out.size == 1) return out;
  if (get(names.local_rank) == nullptr)
    throw ConfigError(
        fmt::format("{}={} but {} is not set", names.size, out.size, names.local_rank));
  out.local_rank = number(get, names.local_rank, 0, kMaxRanks);
  if (out.local_rank > out.rank)
    throw ConfigError(fmt::format("{}={} is above {}={}", names.local_rank, out.local_rank,
                                  names.rank, out.rank));
  return out;
}

/// salloc and sbatch set SLURM_NTASKS for their own shell, which is no rank.
std::optional<Ranks> read_srun(const Environment& get) {
  if (get(kSrun.rank) == nullptr) return {};
  return read(get, kSrun);
}

/// A port of the job's own, below those that the system hands out.
int port_of(const std::string& job) {
  std::uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : job) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return 20000 + static_cast<int>(hash % 12000u);
}

std::string slurm_nodes(const Environment& get) {
  for (const char* name : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"})
    if (get(name) != nullptr) return text(get, name);
  return {};
}

/// Where rank 0 listens, by the launcher's own variables.
std::string place_of(const Environment& get, const Ranks& ranks) {
  const std::string nodes = slurm_nodes(get);
  if (ranks.launcher == kMpirun.launcher) {
    constexpr const char* kLocalSize = "OMPI_COMM_WORLD_LOCAL_SIZE";
    const bool here =
        get(kLocalSize) == nullptr || text(get, kLocalSize) == text(get, kMpirun.size);
    if (here) return kHere;
    if (nodes.empty())
      throw ConfigError(
          "mpirun over several machines needs MASTER_ADDR, the machine of rank 0: "
          "mpirun -x MASTER_ADDR=HOST ...");
  }
  return nodes.empty() ? kHere : first_host(nodes);
}

/// Of the launcher's own variables: those of others differ from machine to machine.
std::string job_of(const Environment& get, const Ranks& ranks) {
  if (ranks.launcher == kTorchrun.launcher) return "torchrun:" + text(get, "TORCHELASTIC_RUN_ID");
  if (ranks.launcher == kMpirun.launcher) return "mpirun:" + text(get, "PMIX_NAMESPACE");
  return "srun:" + text(get, "SLURM_JOB_ID") + "." + text(get, "SLURM_STEP_ID");
}

void find_place(const Environment& get, Ranks& ranks) {
  ranks.job = job_of(get, ranks);
  const bool torchrun = ranks.launcher == kTorchrun.launcher;
  if (torchrun && (get(kAddress) == nullptr || get(kPort) == nullptr))
    throw ConfigError(fmt::format("{}={} but {} is not set", kTorchrun.size, ranks.size,
                                  get(kAddress) == nullptr ? kAddress : kPort));
  ranks.address = get(kAddress) != nullptr ? text(get, kAddress) : place_of(get, ranks);
  if (ranks.address.empty()) throw ConfigError("MASTER_ADDR is empty");
  ranks.port = get(kPort) != nullptr ? number(get, kPort, 1, 65535) : port_of(ranks.job);
  // torchrun itself listens there.
  if (torchrun && text(get, "TORCHELASTIC_USE_AGENT_STORE") == "True")
    ranks.port += ranks.port < 65535 ? 1 : -1;
}

}  // namespace

std::string first_host(const std::string& node_list) {
  const std::size_t open = node_list.find('['), comma = node_list.find(',');
  if (open == std::string::npos || comma < open) return node_list.substr(0, comma);
  const std::size_t end = node_list.find_first_of("-,]", open);
  const std::size_t close = node_list.find(']', open);
  if (close == std::string::npos)
    throw ConfigError(fmt::format("SLURM_NODELIST={}: a bracket is not closed", node_list));
  const std::size_t next = node_list.find(',', close);
  return node_list.substr(0, open) + node_list.substr(open + 1, end - open - 1) +
         node_list.substr(close + 1, next == std::string::npos ? next : next - close - 1);
}

Ranks ranks_from_environment(const Environment& get) {
  const std::optional<Ranks> torchrun = read(get, kTorchrun), mpirun = read(get, kMpirun);
  if (torchrun && mpirun && (torchrun->rank != mpirun->rank || torchrun->size != mpirun->size))
    throw ConfigError(fmt::format("{}={} of {} and {}={} of {} do not agree", kTorchrun.rank,
                                  torchrun->rank, torchrun->size, kMpirun.rank, mpirun->rank,
                                  mpirun->size));
  std::optional<Ranks> ranks = mpirun ? mpirun : torchrun;
  if (!ranks) ranks = read_srun(get);
  if (!ranks) return {};
  if (ranks->size > 1) find_place(get, *ranks);
  return *ranks;
}

double rank_timeout_s(const Environment& get) {
  constexpr const char* kName = "AFFUSE_RANK_TIMEOUT_S";
  return get(kName) == nullptr ? 60 : number(get, kName, 1, 86400);
}

}  // namespace affuse
