// A training step as data: buffers, and steps that say what they read and write.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/step_state.h"
#include "engine/tensor.h"

namespace affuse {

using BufferId = int;

/// How long a buffer lives, and where.
enum class Life : std::uint8_t {
  transient,  ///< in the arena, from its first to its last use
  input,      ///< in the arena, filled before the program runs, until its last use
  output,     ///< in the arena, from its first use until the program has been read
  held,       ///< in the arena, for the whole program (written by the preparing steps)
  external,   ///< elsewhere: parameters; bound by name
};

struct Buffer {
  std::string name;
  TensorDesc desc;
  Life life = Life::transient;
};

/// Addresses for one run: a pointer for each buffer, and the state; all in the device's memory.
struct Frame {
  std::vector<void*> address;
  StepState* state = nullptr;
  void* stream = nullptr;  ///< the device's queue (a CUDA stream); null on the CPU

  template <class T>
  T* at(BufferId id) const {
    return static_cast<T*>(address[static_cast<std::size_t>(id)]);
  }
};

/// A place in a buffer.
struct Place {
  BufferId buffer = -1;
  std::size_t offset = 0;  ///< bytes

  template <class T>
  T* at(const Frame& f) const {
    return reinterpret_cast<T*>(f.at<std::byte>(buffer) + offset);
  }
  float* floats(const Frame& f) const { return at<float>(f); }
};

/// One computation. It allocates nothing; everything it touches is named here.
struct Step {
  Step() = default;
  explicit Step(std::string step_name) : name(std::move(step_name)) {}

  std::string name;
  std::string engine;  ///< what runs it: a vendor's implementation or "own"
  std::vector<BufferId> reads;
  std::vector<BufferId> writes;       ///< overwritten
  std::vector<BufferId> accumulates;  ///< added to (by several sources) or changed in place
  std::vector<BufferId> scratch;
  double flops = 0;
  double parameter_bytes = 0;  ///< read or written in external buffers
  std::function<void(const Frame&)> run;
  bool once = false;  ///< a preparing step: runs when the parameters changed, not for each batch
};

/// Buffers and steps in order.
struct Program {
  std::string name;
  std::vector<Buffer> buffers;
  std::vector<Step> steps;

  BufferId add(std::string buffer_name, TensorDesc desc, Life life = Life::transient);
  /// Id of a buffer; throws Error if the program has none of that name.
  BufferId find(const std::string& buffer_name) const;
  /// Bytes that a step reads and writes, once each; accumulated buffers count twice, scratch not.
  double bytes(const Step& step) const;
  double flops() const;
};

}  // namespace affuse
