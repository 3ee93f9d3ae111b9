// A thin layer over oneDNN: errors in words, memory descriptions, and calls whose operands are
// buffers of a program.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <dnnl.hpp>

#include "engine/program.h"

namespace affuse::cpu {

/// oneDNN's engine and stream, and what this processor can do.
struct OneDnn {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  int block = 8;             ///< channels a block: 16 with AVX-512, 8 without
  bool native_bf16 = false;  ///< convolutions take bf16; otherwise they are emulated in fp32

  OneDnn();
  Layout layout() const { return block == 16 ? Layout::blocked16 : Layout::blocked8; }
};

/// "AVX-512 with bf16", "AVX2", ...
std::string isa_name();
std::string onednn_version();

dnnl::memory::data_type data_type(DType t);

/// Activations [n, c, h, w] in the channel-blocked layout, or nchw for 3 channels.
dnnl::memory::desc maps_desc(int n, int c, int h, int w, int block, dnnl::memory::data_type type);

/// Builds a step's run() around one primitive. Where a buffer's type or layout is not the
/// primitive's, the value passes through scratch on the way in or out.
class CallBuilder {
 public:
  CallBuilder(const OneDnn& dnn, Program& program, Step& step);

  /// `stored` describes the buffer, `wanted` what the primitive takes.
  void input(int arg, Place place, const dnnl::memory::desc& stored,
             const dnnl::memory::desc& wanted);
  /// With `accumulate` the result is added to what the buffer holds.
  void output(int arg, Place place, const dnnl::memory::desc& given,
              const dnnl::memory::desc& stored, bool accumulate);
  void scratchpad(const dnnl::memory::desc& desc);
  /// Moves the call into the step.
  void finish(const dnnl::primitive& primitive);

  /// True when any operand passes through a layout change.
  bool reorders() const { return reorders_; }

 private:
  struct Conversion;
  struct Call;

  Place scratch(std::size_t bytes, const std::string& what);
  Place convert(std::vector<Conversion>& chain, Place from, const dnnl::memory::desc& from_desc,
                const dnnl::memory::desc& to_desc, Place to, bool to_is_given);
  void operand(int arg, Place place, const dnnl::memory::desc& desc);

  const OneDnn& dnn_;
  Program& program_;
  Step& step_;
  std::shared_ptr<Call> call_;
  bool reorders_ = false;
};

}  // namespace affuse::cpu
