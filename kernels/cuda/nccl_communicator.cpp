// NCCL: sums on a stream of their own beside the backward pass.
#include <memory>
#include <utility>

#include <fmt/format.h>

#if defined(AFFUSE_CUDA)
#include <nccl.h>

#include "kernels/cuda/device/runtime.h"
#endif

#include "engine/error.h"
#include "kernels/backend.h"

namespace affuse {

#if defined(AFFUSE_CUDA)
namespace {

using cuda::check;

void check(ncclResult_t status, const char* what) {
  if (status != ncclSuccess)
    throw DeviceError(fmt::format("NCCL, {}: {}", what, ncclGetErrorString(status)));
}

/// ncclCommAbort, unlike ncclCommDestroy, does not wait for ranks that may be gone.
struct Abort {
  void operator()(ncclComm* comm) const { ncclCommAbort(comm); }
};

/// Only the stream's order is used, and events that join streams: the calls can be captured.
class NcclCommunicator : public Communicator {
 public:
  NcclCommunicator(std::shared_ptr<RankGroup> group, int device) : group_(std::move(group)) {
    check(cudaSetDevice(device), "cudaSetDevice");
    ncclUniqueId id{};
    if (group_->first()) check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    group_->broadcast(&id, sizeof id);
    ncclComm_t comm = nullptr;
    check(ncclCommInitRank(&comm, group_->size(), id, group_->rank()), "ncclCommInitRank");
    comm_.reset(comm);
    stream_ = cuda::make_stream();
    ready_ = cuda::make_event();
    done_ = cuda::make_event();
  }

  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  std::string name() const override { return "nccl"; }

  void start_sum(float* data, std::size_t count, void* stream) override {
    check(cudaEventRecord(ready_.get(), static_cast<cudaStream_t>(stream)), "event");
    check(cudaStreamWaitEvent(stream_.get(), ready_.get()), "wait");
    check(ncclAllReduce(data, data, count, ncclFloat32, ncclSum, comm_.get(), stream_.get()),
          "ncclAllReduce");
  }

  void finish_sums(void* stream) override {
    check(cudaEventRecord(done_.get(), stream_.get()), "event");
    check(cudaStreamWaitEvent(static_cast<cudaStream_t>(stream), done_.get()), "wait");
  }

  void sum(double* data, std::size_t count, void* stream) override {
    check(ncclAllReduce(data, data, count, ncclFloat64, ncclSum, comm_.get(),
                        static_cast<cudaStream_t>(stream)),
          "ncclAllReduce");
  }

 private:
  std::shared_ptr<RankGroup> group_;
  std::unique_ptr<ncclComm, Abort> comm_;
  cuda::StreamHandle stream_;
  cuda::EventHandle ready_, done_;
};

}  // namespace

std::shared_ptr<Communicator> make_cuda_communicator(std::shared_ptr<RankGroup> group, int device) {
  if (group->size() == 1) return std::make_shared<Communicator>();
  return std::make_shared<NcclCommunicator>(std::move(group), device);
}

#else

// NOLINTNEXTLINE(performance-unnecessary-value-param): the build with CUDA keeps it
std::shared_ptr<Communicator> make_cuda_communicator(std::shared_ptr<RankGroup> /*group*/,
                                                     int /*device*/) {
  throw DeviceError("this build has no NCCL; use train.device=cpu or auto");
}

#endif

}  // namespace affuse
