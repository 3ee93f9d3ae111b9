#include "tests/bench/resident_backend.h"

#include <chrono>
#include <thread>
#include <utility>

#include "engine/error.h"

namespace affuse::bench {
namespace {

using cuda::check;
using Clock = std::chrono::steady_clock;

double now() {
  return std::chrono::duration<double, std::milli>(Clock::now().time_since_epoch()).count();
}

cuda::EventHandle timing_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "creating an event");
  return cuda::EventHandle(event);
}

/// Holds a stream until everything is enqueued, so that no step waits for the host; its end lets
/// the stream run and waits for it.
class Gate {
 public:
  explicit Gate(cudaStream_t stream) : stream_(stream) {
    check(cudaLaunchHostFunc(stream, wait, &open_), "holding the stream");
  }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() {
    open_ = true;
    cudaStreamSynchronize(stream_);
  }

 private:
  // Not for ever: a step that waits for the device would never let the gate open.
  static void wait(void* open) {
    const auto end = Clock::now() + std::chrono::seconds(1);
    while (!*static_cast<std::atomic<bool>*>(open) && Clock::now() < end)
      std::this_thread::sleep_for(std::chrono::microseconds(50));
  }

  cudaStream_t stream_;
  std::atomic<bool> open_ = false;
};

}  // namespace

void ResidentBackend::keep(const std::string& input, const void* host, std::size_t bytes) {
  auto memory = std::make_unique<cuda::DeviceMemory>(bytes);
  check(cudaMemcpy(memory->data(), host, bytes, cudaMemcpyHostToDevice), "copying the batch");
  kept_[input] = std::move(memory);
}

void ResidentBackend::restore(const Program& program, const Frame& frame) const {
  for (std::size_t i = 0; i < program.buffers.size(); ++i) {
    const auto kept = kept_.find(program.buffers[i].name);
    if (kept == kept_.end() || program.buffers[i].life != Life::input) continue;
    check(cudaMemcpyAsync(frame.address[i], kept->second->data(), kept->second->bytes(),
                          cudaMemcpyDeviceToDevice, nullptr),
          "restoring the batch");
  }
  check(cudaDeviceSynchronize(), "restoring the batch");
}

void ResidentBackend::start(const Program& program, const Frame& frame, bool prepare) {
  if (!prepare && restoring_) restore(program, frame);
  if (apart_ != nullptr && !prepare) return run_apart(program, frame);
  begun_ = now();
  inner_->start(program, frame, prepare);
}

void ResidentBackend::finish() {
  inner_->finish();
  milliseconds_ = now() - begun_;
}

std::vector<std::vector<float>> ResidentBackend::stop_apart() {
  return std::exchange(apart_, nullptr)->times;
}

void ResidentBackend::run_apart(const Program& program, const Frame& frame) {
  const cudaStream_t stream = apart_->stream.get();
  check(cudaMemcpyAsync(apart_->state.data(), frame.state, sizeof(StepState),
                        cudaMemcpyHostToDevice, stream),
        "copying the step's state");
  Frame device = frame;
  device.state = static_cast<StepState*>(apart_->state.data());
  device.stream = stream;
  std::vector<cuda::EventHandle> events;
  for (std::size_t i = 0; i <= program.steps.size(); ++i) events.push_back(timing_event());
  const auto record = [&](std::size_t i) {
    check(cudaEventRecord(events[i].get(), stream), "timing a step");
  };
  {
    const Gate gate(stream);
    record(0);
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
      if (!program.steps[i].once) program.steps[i].run(device);
      record(i + 1);
    }
  }
  check(cudaStreamSynchronize(stream), "running the steps");
  std::vector<float>& times = apart_->times.emplace_back(program.steps.size());
  for (std::size_t i = 0; i < times.size(); ++i)
    check(cudaEventElapsedTime(&times[i], events[i].get(), events[i + 1].get()), "timing a step");
  check(cudaMemcpy(frame.state, apart_->state.data(), sizeof(StepState), cudaMemcpyDeviceToHost),
        "copying the step's state");
}

}  // namespace affuse::bench
