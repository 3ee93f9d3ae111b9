#include "kernels/cpu/mpi_communicator.h"

#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#if defined(AFFUSE_MPI)
#include <mpi.h>
#endif

#include "engine/error.h"

namespace affuse::cpu {

#if defined(AFFUSE_MPI)
namespace {

class MpiCommunicator : public Communicator {
 public:
  explicit MpiCommunicator(std::shared_ptr<RankGroup> group) : group_(std::move(group)) {
    int provided = 0, rank = 0, size = 0;
    if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
      throw DeviceError("MPI does not start (MPI_Init_thread)");
    // Who ended is for the group to say, not for MPI's default of ending the process.
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (rank != group_->rank() || size != group_->size())
      throw DeviceError(
          fmt::format("MPI sees rank {} of {} where {} started rank {} of {}; under "
                      "Slurm use srun --mpi=pmix, or mpirun",
                      rank, size, group_->ranks().launcher, group_->rank(), group_->size()));
  }

  /// MPI_Finalize waits for all ranks: not where this one fails.
  ~MpiCommunicator() override {
    if (std::uncaught_exceptions() == 0) MPI_Finalize();
  }

  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  std::string name() const override { return "mpi"; }

  void start_sum(float* data, std::size_t count, void* /*stream*/) override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Iallreduce(MPI_IN_PLACE, data, static_cast<int>(count), MPI_FLOAT, MPI_SUM,
                         MPI_COMM_WORLD, &request));
    pending_.push_back(request);
    all_done();  // sums that are under way go on only inside MPI's calls
  }

  void finish_sums(void* /*stream*/) override {
    while (!all_done()) std::this_thread::yield();
    pending_.clear();
  }

  void sum(double* data, std::size_t count, void* /*stream*/) override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Iallreduce(MPI_IN_PLACE, data, static_cast<int>(count), MPI_DOUBLE, MPI_SUM,
                         MPI_COMM_WORLD, &request));
    pending_.push_back(request);
    finish_sums(nullptr);
  }

 private:
  bool all_done() {
    int done = 0;
    check(MPI_Testall(static_cast<int>(pending_.size()), pending_.data(), &done,
                      MPI_STATUSES_IGNORE));
    return done != 0;
  }

  void check(int status) {
    if (status == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = {};
    int length = 0;
    MPI_Error_string(status, text, &length);
    group_->fail(fmt::format("MPI: {}", text));
  }

  std::shared_ptr<RankGroup> group_;
  std::vector<MPI_Request> pending_;
};

}  // namespace

std::shared_ptr<Communicator> make_mpi_communicator(std::shared_ptr<RankGroup> group) {
  return std::make_shared<MpiCommunicator>(std::move(group));
}

#else

std::shared_ptr<Communicator> make_mpi_communicator(std::shared_ptr<RankGroup> group) {
  throw DeviceError(
      fmt::format("{} processes started by {} need MPI, which this build lacks; install "
                  "libopenmpi-dev and build again, or start them with torchrun's variables",
                  group->size(), group->ranks().launcher));
}

#endif

}  // namespace affuse::cpu
