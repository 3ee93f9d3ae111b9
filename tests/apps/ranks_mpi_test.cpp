// The same under mpirun, in a build with MPI: it gives what TCP gives, and a killed rank ends the
// job.
#include <fstream>
#include <iterator>

#include "tests/apps/run_ranks.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

class RanksMpi : public testing::Test {
 protected:
  void SetUp() override { prepare_ranks(folder_); }
  static Arguments train(const std::string& out, const Arguments& more = {}) {
    Arguments all = {"train", "c.json", "train.threads=1", "--out", out, "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  const Folder folder_;
};

TEST_F(RanksMpi, MpiGivesWhatTcpGives) {
  const Outcome mpi = Program(folder_.path(), train("mpi"), "", by_mpirun()).finish();
  EXPECT_EQ(mpi.status, 0) << mpi.err;
  for (const Outcome& o : RanksByHand(folder_.path(), train("tcp")).finish())
    EXPECT_EQ(o.status, 0) << o.err;
  for (const char* name : {"predictions.csv", "checkpoints/best.safetensors"})
    EXPECT_TRUE(read_text(folder_ / "mpi/" + name) == read_text(folder_ / "tcp/" + name)) << name;
  const std::string log = read_text(folder_ / "mpi/run.log");
  EXPECT_TRUE(contains(log, "ranks: 2 processes, started by mpirun")) << log;
}

/// The first process under `parent` whose environment makes it rank 1, or 0.
pid_t second_rank(pid_t parent) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream stat(entry.path() / "stat"), environment(entry.path() / "environ");
    const std::string line{std::istreambuf_iterator<char>(stat), {}};
    const std::string variables{std::istreambuf_iterator<char>(environment), {}};
    const std::string owner = ") S " + std::to_string(parent) + " ";
    const std::string running = ") R " + std::to_string(parent) + " ";
    if (!contains(line, owner) && !contains(line, running)) continue;
    if (contains(variables, "OMPI_COMM_WORLD_RANK=1")) return std::stoi(name);
  }
  return 0;
}

TEST_F(RanksMpi, AKilledRankEndsTheJobWithTheOthersLine) {
  Program job(folder_.path(), train("run", {"train.epochs=500"}), "", by_mpirun());
  const std::string last = folder_ / "run/checkpoints/last.safetensors";
  ASSERT_TRUE(job.wait_until([&] { return fs::exists(last); }));
  const pid_t rank = second_rank(job.process());
  ASSERT_GT(rank, 0);
  ::kill(rank, SIGKILL);
  const Outcome outcome = job.finish();
  EXPECT_NE(outcome.status, 0);
  EXPECT_TRUE(contains(outcome.err, ", process " + std::to_string(rank) +
                                        ") ended; this rank stops. The last checkpoint is "
                                        "run/checkpoints/last.safetensors"))
      << outcome.err;
}

}  // namespace
}  // namespace affuse::test
