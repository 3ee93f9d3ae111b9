// What a backend does: lower a graph to a program, keep parameters in its own layout, run.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/arena.h"
#include "engine/communicator.h"
#include "engine/program.h"
#include "engine/rank_group.h"
#include "kernels/graph.h"

namespace affuse {

struct DescribedDevice;

/// heads: a training step on a frozen backbone, which computes as in evaluation.
enum class Mode { train, eval, statistics, average, heads };
enum class Precision { fp32, tf32, bf16, fp16 };

std::string name_of(Mode mode);
std::string name_of(Precision precision);

/// Which implementation was taken for a step; recorded in checkpoints so that resume takes the
/// same.
using EngineChoices = std::map<std::string, std::string>;

/// What fixes a program. Nothing of it can change once the program is lowered.
struct LowerSpec {
  Mode mode = Mode::train;
  int batch = 64;
  Precision precision = Precision::fp32;
  bool deterministic = false;
  std::size_t workspace_bytes = std::size_t{256} << 20;
};

/// Where a parameter lies in its flat fp32 buffer. Running statistics have a buffer of their own.
struct Slot {
  std::size_t offset = 0;  ///< in floats
  std::size_t count = 0;   ///< in floats, the backend's padding included
  bool running = false;    ///< in the buffer of running statistics
};

/// One slot a parameter of the graph; padding is zero and stays zero under Adam and averaging.
struct ParameterLayout {
  std::vector<Slot> slots;
  std::size_t weights = 0;  ///< floats in each of: weights, gradients, Adam's moments, average
  std::size_t running = 0;  ///< floats of running statistics
};

/// Names of the external buffers of every program.
namespace external {
inline constexpr const char* weights = "weights";      ///< fp32, what the program computes with
inline constexpr const char* weights16 = "weights16";  ///< the 16-bit copy, where precision has one
inline constexpr const char* gradients = "gradients";
inline constexpr const char* moment1 = "moment1";
inline constexpr const char* moment2 = "moment2";
inline constexpr const char* running = "running";
inline constexpr const char* average = "average";
inline constexpr const char* label_model = "label_model";      ///< math::TargetModel<float>
inline constexpr const char* loss_settings = "loss_settings";  ///< math::LossSettings
}  // namespace external

/// Names of the input and output buffers of train, heads, statistics and eval programs.
namespace io {
inline constexpr const char* images = "images";            ///< u8 [N, H, W, 3]
inline constexpr const char* augment = "augment";          ///< AugmentParams [N]
inline constexpr const char* label = "label";              ///< i32 [N], -1: none
inline constexpr const char* va = "va_target";             ///< f32 [N, 2]
inline constexpr const char* has_va = "has_va";            ///< u8 [N]
inline constexpr const char* given = "given";              ///< f32 [N, K], ready soft labels
inline constexpr const char* target = "target";            ///< f32 [N, K], fused labels (output)
inline constexpr const char* probability = "probability";  ///< f32 [N, K] (output)
inline constexpr const char* loss_terms = "loss_terms";    ///< f32 [N, 3] (output)
inline constexpr const char* va_out = "fc_va";             ///< f32 [N, 2] (output)
inline constexpr const char* logits = "fc_class";          ///< f32 [N, K] (output)
inline constexpr const char* features = "features";        ///< f32 [N, C] (output)
}  // namespace io

/// A device and its libraries in words, for `affuse info` and the run's config.json.
struct DeviceInfo {
  std::string name;            ///< "cpu" or "cuda"
  std::string hardware;        ///< "AMD EPYC, 2 threads, AVX2"
  std::string libraries;       ///< "oneDNN 2.6.3"
  std::string precision_note;  ///< empty, or what is emulated
  int threads = 1;
};

/// Device memory; freed with the object.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual void* data() const = 0;
  virtual std::size_t bytes() const = 0;
};

/// A device. Not thread-safe: one thread drives it.
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  virtual DeviceInfo info() const = 0;

  /// Training programs that are lowered from now on sum their gradients over these ranks.
  void join(std::shared_ptr<Communicator> ranks) { ranks_ = std::move(ranks); }

  /// The parameter layout that the training program of `spec` prefers.
  virtual ParameterLayout layout(const Graph& graph, const LowerSpec& spec) = 0;
  /// Public order to the stored order of one parameter, and back. Host memory on both sides.
  virtual void pack(ParamId id, std::span<const float> plain, std::span<float> stored) = 0;
  virtual void unpack(ParamId id, std::span<const float> stored, std::span<float> plain) = 0;

  /// The graph as a program over that layout. `recorded` forces the named implementations (resume);
  /// throws DeviceError naming unit, shape and precision when there is none.
  virtual Program lower(const Graph& graph, const LowerSpec& spec, const ParameterLayout& layout,
                        const EngineChoices* recorded) = 0;

  /// Zeroed memory. Throws DeviceError naming the size.
  virtual std::unique_ptr<Memory> allocate(std::size_t bytes) = 0;
  virtual void upload(void* device, const void* host, std::size_t bytes) = 0;
  virtual void download(void* host, const void* device, std::size_t bytes) = 0;

  /// Runs the steps in order; `prepare` runs those marked `once` instead of the others.
  void run(const Program& program, const Frame& frame, bool prepare = false) {
    start(program, frame, prepare);
    finish();
  }

  /// Begins to run a program. Until finish(), frame.state and the program's buffers are the
  /// device's; an upload may come in between and takes effect behind the program.
  virtual void start(const Program& program, const Frame& frame, bool prepare) = 0;
  /// Waits for the program that was started, if any; frame.state holds what it wrote.
  virtual void finish() {}
  /// The program will not run again; a backend drops what it made of it.
  virtual void forget(const Program& /*program*/) {}

 protected:
  /// Never null.
  const std::shared_ptr<Communicator>& ranks() const { return ranks_; }

 private:
  std::shared_ptr<Communicator> ranks_ = std::make_shared<Communicator>();
};

enum class DeviceChoice { automatic, cuda, cpu };

/// `threads` 0: every core. Throws DeviceError where the device is missing.
std::unique_ptr<Backend> make_cpu_backend(int threads);
/// Throws DeviceError; a build without the CUDA toolkit says so.
std::unique_ptr<Backend> make_cuda_backend(int device);
/// Lowers for a GPU that is not there, by cuDNN's plans for its description; it cannot run.
std::unique_ptr<Backend> make_planning_backend(const DescribedDevice& device);

/// Sums on the CPU for the ranks of a group: MPI where mpirun or srun started them, TCP where
/// torchrun's variables did. Throws DeviceError naming what is missing. One at a time.
std::shared_ptr<Communicator> make_cpu_communicator(std::shared_ptr<RankGroup> group);
/// NCCL on `device`, one rank each. Throws DeviceError; a build without the CUDA toolkit says so.
std::shared_ptr<Communicator> make_cuda_communicator(std::shared_ptr<RankGroup> group, int device);

}  // namespace affuse
