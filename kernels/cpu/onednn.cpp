#include "kernels/cpu/onednn.h"

#include <fmt/format.h>

#include "engine/error.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/elementwise.h"

namespace affuse::cpu {

using dnnl::memory;

OneDnn::OneDnn() {
  const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
  const bool avx512 = isa == dnnl::cpu_isa::avx512_core || isa == dnnl::cpu_isa::avx512_core_vnni ||
                      isa == dnnl::cpu_isa::avx512_core_bf16 ||
                      isa == dnnl::cpu_isa::avx512_core_amx;
  if (!avx512 && isa != dnnl::cpu_isa::avx2 && isa != dnnl::cpu_isa::avx2_vnni)
    throw DeviceError("this processor has no AVX2, which the CPU backend needs");
  block = avx512 ? 16 : 8;
  native_bf16 = avx512;
}

std::string isa_name() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx512_core_amx:
      return "AVX-512 with bf16 and AMX";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "AVX-512 with bf16";
    case dnnl::cpu_isa::avx512_core_vnni:
    case dnnl::cpu_isa::avx512_core:
      return "AVX-512";
    case dnnl::cpu_isa::avx2_vnni:
    case dnnl::cpu_isa::avx2:
      return "AVX2";
    default:
      return "before AVX2";
  }
}

std::string onednn_version() {
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", v->major, v->minor, v->patch);
}

memory::data_type data_type(DType t) {
  if (t == DType::bf16) return memory::data_type::bf16;
  return memory::data_type::f32;
}

memory::desc maps_desc(int n, int c, int h, int w, int block, memory::data_type type) {
  using tag = memory::format_tag;
  const tag t = c % block != 0 ? tag::nchw : block == 16 ? tag::nChw16c : tag::nChw8c;
  return memory::desc({n, c, h, w}, type, t);
}

// One move of a value between the program's form and the primitive's.
struct CallBuilder::Conversion {
  enum class Kind { widen, narrow, reorder, add_f32, add_bf16 } kind;
  Place from, to;
  std::size_t count = 0;
  dnnl::reorder reorder;
  memory source, target;

  void run(const Frame& frame, dnnl::stream& stream) {
    auto* a = from.at<std::byte>(frame);
    auto* b = to.at<std::byte>(frame);
    const auto* wide = reinterpret_cast<const float*>(a);
    switch (kind) {
      case Kind::widen:
        return cpu::convert(reinterpret_cast<const Bf16*>(a), reinterpret_cast<float*>(b), count);
      case Kind::narrow:
        return cpu::convert(wide, reinterpret_cast<Bf16*>(b), count);
      case Kind::add_f32:
        return add(wide, reinterpret_cast<float*>(b), count);
      case Kind::add_bf16:
        return add(wide, reinterpret_cast<Bf16*>(b), count);
      case Kind::reorder:
        source.set_data_handle(a);
        target.set_data_handle(b);
        reorder.execute(stream, source, target);
        stream.wait();
    }
  }
};

struct CallBuilder::Call {
  std::vector<Conversion> before, after;
  std::vector<Place> places;
  std::vector<memory> memories;
  std::vector<dnnl_exec_arg_t> args;
  dnnl::primitive primitive;
  dnnl::stream stream;

  void run(const Frame& frame) {
    for (Conversion& c : before) c.run(frame, stream);
    for (std::size_t i = 0; i < places.size(); ++i)
      memories[i].set_data_handle(places[i].at<std::byte>(frame));
    // The C call: the C++ one would build a hash map each time.
    const dnnl_status_t status = dnnl_primitive_execute(primitive.get(), stream.get(),
                                                        static_cast<int>(args.size()), args.data());
    if (status != dnnl_success)
      throw DeviceError(
          fmt::format("oneDNN: execution failed with status {}", static_cast<int>(status)));
    for (Conversion& c : after) c.run(frame, stream);
  }
};

CallBuilder::CallBuilder(const OneDnn& dnn, Program& program, Step& step)
    : dnn_(dnn), program_(program), step_(step), call_(std::make_shared<Call>()) {
  call_->stream = dnn.stream;
}

Place CallBuilder::scratch(std::size_t bytes, const std::string& what) {
  const TensorDesc desc{Shape{static_cast<std::int64_t>(bytes)}, DType::u8, Layout::opaque, bytes};
  const BufferId id = program_.add(step_.name + " " + what, desc);
  step_.scratch.push_back(id);
  return Place{id, 0};
}

// Appends what leads from one form to the other and returns where the value ends up. bf16 is only
// converted in place order, so a change of both type and layout takes two moves.
Place CallBuilder::convert(std::vector<Conversion>& chain, Place from,
                           const memory::desc& from_desc, const memory::desc& to_desc, Place to,
                           bool to_is_given) {
  using Kind = Conversion::Kind;
  const auto f32 = memory::data_type::f32;
  memory::desc current = from_desc;
  const auto same_order = [](memory::desc a, const memory::desc& b) {
    a.data.data_type = b.data.data_type;
    return a == b;
  };
  const auto elements = [](const memory::desc& d) {
    return d.get_size() / (d.data_type() == memory::data_type::bf16 ? 2 : 4);
  };
  if (current.data_type() != f32 && to_desc.data_type() == f32) {
    memory::desc wide = current;
    wide.data.data_type = dnnl_f32;
    const bool last = to_is_given && same_order(wide, to_desc);
    const Place target = last ? to : scratch(wide.get_size(), "widened");
    chain.push_back({Kind::widen, from, target, elements(current), {}, {}, {}});
    from = target;
    current = wide;
  }
  if (!same_order(current, to_desc)) {
    memory::desc ordered = to_desc;
    ordered.data.data_type = current.data.data_type;
    const bool last = to_is_given && ordered == to_desc;
    const Place target = last ? to : scratch(ordered.get_size(), "reordered");
    Conversion c{Kind::reorder, from, target, 0, {}, {}, {}};
    c.source = memory(current, dnn_.engine, DNNL_MEMORY_NONE);
    c.target = memory(ordered, dnn_.engine, DNNL_MEMORY_NONE);
    c.reorder = dnnl::reorder(c.source, c.target);
    chain.push_back(std::move(c));
    from = target;
    current = ordered;
    reorders_ = true;
  }
  if (current.data_type() == f32 && to_desc.data_type() != f32) {
    const Place target = to_is_given ? to : scratch(to_desc.get_size(), "narrowed");
    chain.push_back({Kind::narrow, from, target, elements(to_desc), {}, {}, {}});
    from = target;
  }
  return from;
}

void CallBuilder::operand(int arg, Place place, const memory::desc& desc) {
  call_->places.push_back(place);
  call_->memories.push_back(memory(desc, dnn_.engine, DNNL_MEMORY_NONE));
  call_->args.push_back({arg, nullptr});
}

void CallBuilder::input(int arg, Place place, const memory::desc& stored,
                        const memory::desc& wanted) {
  operand(arg, convert(call_->before, place, stored, wanted, {}, false), wanted);
}

void CallBuilder::output(int arg, Place place, const memory::desc& given,
                         const memory::desc& stored, bool accumulate) {
  if (!accumulate && given == stored) return operand(arg, place, given);
  const Place raw = scratch(given.get_size(), "result");
  operand(arg, raw, given);
  if (!accumulate) {
    convert(call_->after, raw, given, stored, place, true);
    return;
  }
  memory::desc wide = stored;
  wide.data.data_type = dnnl_f32;
  const Place sum = convert(call_->after, raw, given, wide, {}, false);
  const bool narrow = stored.data_type() == memory::data_type::bf16;
  call_->after.push_back({narrow ? Conversion::Kind::add_bf16 : Conversion::Kind::add_f32,
                          sum,
                          place,
                          wide.get_size() / 4,
                          {},
                          {},
                          {}});
}

void CallBuilder::scratchpad(const memory::desc& desc) {
  if (desc.get_size() == 0) return;
  operand(DNNL_ARG_SCRATCHPAD, scratch(desc.get_size(), "scratchpad"), desc);
}

void CallBuilder::finish(const dnnl::primitive& primitive) {
  call_->primitive = primitive;
  for (std::size_t i = 0; i < call_->args.size(); ++i)
    call_->args[i].memory = call_->memories[i].get();
  step_.run = [call = call_](const Frame& frame) { call->run(frame); };
}

}  // namespace affuse::cpu
