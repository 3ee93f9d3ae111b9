// The CUDA backend on a GPU, and for a described one, which is planned and never run.
#include <cublasLt.h>
#include <cudnn.h>
#include <fmt/format.h>

#include "engine/error.h"
#include "kernels/cuda/cudnn/vendors.h"
#include "kernels/cuda/device/captured.h"
#include "kernels/cuda/device/transfers.h"
#include "kernels/cuda/lowering_backend.h"
#include "kernels/described_device.h"

namespace affuse {
namespace cuda {
namespace {

std::string library_versions() {
  int runtime = 0;
  cudaRuntimeGetVersion(&runtime);
  const std::size_t cudnn = cudnnGetVersion(), blas = cublasLtGetVersion();
  return fmt::format("CUDA {}.{}, cuDNN {}.{}.{}, cuBLASLt {}.{}.{}", runtime / 1000,
                     runtime % 1000 / 10, cudnn / 10000, cudnn / 100 % 100, cudnn % 100,
                     blas / 10000, blas / 100 % 100, blas % 100);
}

/// Throws DeviceError unless the device is there; the vendor makes it current.
int existing(int device) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0)
    throw DeviceError(
        fmt::format("no CUDA device: {}; use train.device=cpu or auto",
                    status != cudaSuccess ? cudaGetErrorString(status) : "the driver lists none"));
  if (device < 0 || device >= count)
    throw DeviceError(fmt::format("there is no CUDA device {}; this machine has {} (0 to {})",
                                  device, count, count - 1));
  return device;
}

class CudaBackend : public LoweringBackend {
 public:
  explicit CudaBackend(int device)
      : LoweringBackend(make_cudnn_vendor(existing(device))), device_(device) {}

  ~CudaBackend() override { cudaStreamSynchronize(stream_.get()); }

  DeviceInfo info() const override {
    cudaDeviceProp p{};
    check(cudaGetDeviceProperties(&p, device_), "reading the device's properties");
    DeviceInfo out;
    out.name = "cuda";
    out.hardware = fmt::format("{}, sm_{}{}, {} multiprocessors, {} MiB", p.name, p.major, p.minor,
                               p.multiProcessorCount, p.totalGlobalMem >> 20);
    out.libraries = library_versions();
    if (p.major < 8) out.precision_note = "this GPU has no bf16 or tf32 convolutions; fp16 has";
    return out;
  }

  std::unique_ptr<Memory> allocate(std::size_t bytes) override {
    return std::make_unique<DeviceMemory>(bytes);
  }
  void upload(void* device, const void* host, std::size_t bytes) override {
    transfers_.upload(device, host, bytes, running_ != nullptr);
  }
  void download(void* host, const void* device, std::size_t bytes) override {
    transfers_.wait();
    check(cudaStreamSynchronize(stream_.get()), "waiting for the device");
    if (bytes > 0)
      check(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost), "copying from the device");
  }

  void start(const Program& program, const Frame& frame, bool prepare) override {
    finish();
    transfers_.order_before(stream_.get());
    auto* mirror = reinterpret_cast<StepState*>(mirror_.data());
    *mirror = *frame.state;
    check(cudaMemcpyAsync(state_.data(), mirror, sizeof(StepState), cudaMemcpyHostToDevice,
                          stream_.get()),
          "copying the step's state");
    Frame device = frame;
    device.state = static_cast<StepState*>(state_.data());
    device.stream = stream_.get();
    programs_.run(program, device, prepare);
    check(cudaMemcpyAsync(mirror, state_.data(), sizeof(StepState), cudaMemcpyDeviceToHost,
                          stream_.get()),
          "copying the step's state");
    running_ = frame.state;
  }

  void finish() override {
    if (running_ == nullptr) return;
    StepState* state = std::exchange(running_, nullptr);
    check(cudaStreamSynchronize(stream_.get()), "running the program");
    *state = *reinterpret_cast<const StepState*>(mirror_.data());
    transfers_.deliver(stream_.get());
  }

  void forget(const Program& program) override {
    cudaStreamSynchronize(stream_.get());  // called by destructors: a failure has no place to go
    programs_.forget(program);
  }

 private:
  int device_;
  StreamHandle stream_ = make_stream();
  DeviceMemory state_{sizeof(StepState)};
  PinnedMemory mirror_{sizeof(StepState)};
  Transfers transfers_;
  CapturedPrograms programs_;
  StepState* running_ = nullptr;  // where the result of the running program goes
};

/// Lowers for a GPU that is not there.
class PlanningBackend : public LoweringBackend {
 public:
  explicit PlanningBackend(const DescribedDevice& device)
      : LoweringBackend(make_planning_vendor(device)), device_(device) {}

  DeviceInfo info() const override {
    DeviceInfo out;
    out.name = "plan for " + device_.name;
    out.hardware = fmt::format("{}, {} MiB, {:.2f} TB/s", device_.title, device_.memory >> 20,
                               device_.bytes_per_second / 1e12);
    out.libraries = library_versions();
    return out;
  }

  std::unique_ptr<Memory> allocate(std::size_t /*bytes*/) override { return refuse(); }
  void upload(void* /*device*/, const void* /*host*/, std::size_t /*bytes*/) override { refuse(); }
  void download(void* /*host*/, const void* /*device*/, std::size_t /*bytes*/) override {
    refuse();
  }
  void start(const Program& /*program*/, const Frame& /*frame*/, bool /*prepare*/) override {
    refuse();
  }

 private:
  [[noreturn]] std::unique_ptr<Memory> refuse() const {
    throw DeviceError(device_.title + " is only planned for; there is no such device here");
  }

  DescribedDevice device_;
};

}  // namespace
}  // namespace cuda

std::unique_ptr<Backend> make_cuda_backend(int device) {
  return std::make_unique<cuda::CudaBackend>(device);
}

std::unique_ptr<Backend> make_planning_backend(const DescribedDevice& device) {
  return std::make_unique<cuda::PlanningBackend>(device);
}

}  // namespace affuse
