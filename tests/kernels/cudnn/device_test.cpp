// The vendor on a GPU, against sums in double precision; on a machine without one, its refusal.
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "engine/dtype.h"
#include "kernels/cuda/cudnn/vendors.h"
#include "kernels/cuda/device/runtime.h"
#include "tests/kernels/cudnn/resnet18_convs.h"

namespace {

using affuse::Bf16;
using affuse::DType;
using affuse::Half;
using cudnn_test::contains;
using cudnn_test::kCap;
using cudnn_test::kFormats;
using cudnn_test::refusal_of;
namespace gpu = cudnn_test::gpu;
using Values = std::vector<float>;

bool has_gpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

// What every test expects on a machine without a GPU.
void expect_refusal() {
  const std::string why = refusal_of([] { gpu::make_cudnn_vendor(0); });
  EXPECT_TRUE(contains(why, "cuda") || contains(why, "CUDA")) << why;
}

template <class T>
std::vector<std::byte> stored(const Values& values) {
  std::vector<std::byte> out(values.size() * sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T t;
    affuse::from_float(values[i], t);
    std::memcpy(out.data() + i * sizeof(T), &t, sizeof(T));
  }
  return out;
}

template <class T>
Values loaded(const std::vector<std::byte>& bytes) {
  Values out(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < out.size(); ++i) {
    T t;
    std::memcpy(&t, bytes.data() + i * sizeof(T), sizeof(T));
    out[i] = affuse::to_float(t);
  }
  return out;
}

std::vector<std::byte> stored(const Values& values, DType type) {
  return type == DType::f16    ? stored<Half>(values)
         : type == DType::bf16 ? stored<Bf16>(values)
                               : stored<float>(values);
}

Values loaded(const std::vector<std::byte>& bytes, DType type) {
  return type == DType::f16    ? loaded<Half>(bytes)
         : type == DType::bf16 ? loaded<Bf16>(bytes)
                               : loaded<float>(bytes);
}

/// Device memory that holds `values`.
class OnDevice {
 public:
  OnDevice(const Values& values, DType type)
      : bytes_(stored(values, type)), memory_(bytes_.size()) {
    gpu::check(cudaMemcpy(memory_.data(), bytes_.data(), bytes_.size(), cudaMemcpyHostToDevice),
               "copying");
  }
  void* data() const { return memory_.data(); }
  Values values(DType type) const {
    std::vector<std::byte> out(bytes_.size());
    gpu::check(cudaMemcpy(out.data(), memory_.data(), out.size(), cudaMemcpyDeviceToHost),
               "copying");
    return loaded(out, type);
  }

 private:
  std::vector<std::byte> bytes_;
  gpu::DeviceMemory memory_;
};

// Small integers: exact in every type, TF32 included, and so are short sums of their products.
Values small_integers(std::size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  Values out(n);
  for (float& v : out) v = static_cast<float>(static_cast<int>(engine() % 5) - 2);
  return out;
}

struct Operands {
  Values x, w, y;
};

Operands operands(const gpu::ConvProblem& p) {
  const auto count = [](int a, int b, int c, int d) {
    return static_cast<std::size_t>(a) * static_cast<std::size_t>(b) * static_cast<std::size_t>(c) *
           static_cast<std::size_t>(d);
  };
  return {small_integers(count(p.n, p.h, p.w, p.in), 1),
          small_integers(count(p.out, p.kernel, p.kernel, p.in), 2),
          small_integers(count(p.n, p.out_h(), p.out_w(), p.out), 3)};
}

// f(x index, w index, y index) for every product of the convolution.
template <class F>
void each_product(const gpu::ConvProblem& p, F f) {
  for (int n = 0; n < p.n; ++n)
    for (int oy = 0; oy < p.out_h(); ++oy)
      for (int ox = 0; ox < p.out_w(); ++ox)
        for (int r = 0; r < p.kernel; ++r)
          for (int s = 0; s < p.kernel; ++s) {
            const int iy = oy * p.stride + r - p.pad, ix = ox * p.stride + s - p.pad;
            if (iy < 0 || iy >= p.h || ix < 0 || ix >= p.w) continue;
            for (int k = 0; k < p.out; ++k)
              for (int c = 0; c < p.in; ++c)
                f(static_cast<std::size_t>(((n * p.h + iy) * p.w + ix) * p.in + c),
                  static_cast<std::size_t>(((k * p.kernel + r) * p.kernel + s) * p.in + c),
                  static_cast<std::size_t>(((n * p.out_h() + oy) * p.out_w() + ox) * p.out + k));
          }
}

Values reference(const gpu::ConvProblem& p, const Operands& o) {
  std::vector<double> sums(p.kind == gpu::ConvKind::forward ? o.y.size()
                           : p.kind == gpu::ConvKind::data  ? o.x.size()
                                                            : o.w.size());
  each_product(p, [&](std::size_t x, std::size_t w, std::size_t y) {
    if (p.kind == gpu::ConvKind::forward) sums[y] += double{o.x[x]} * double{o.w[w]};
    if (p.kind == gpu::ConvKind::data) sums[x] += double{o.w[w]} * double{o.y[y]};
    if (p.kind == gpu::ConvKind::weights) sums[w] += double{o.x[x]} * double{o.y[y]};
  });
  return {sums.begin(), sums.end()};
}

// One run of the chosen engine, captured as a graph and replayed when `captured`.
Values computed(gpu::Vendor& vendor, const gpu::ConvProblem& p, const Operands& o, bool captured) {
  const auto convolution = vendor.convolution("unit", p, kCap, nullptr);
  const OnDevice x(o.x, p.type), w(o.w, p.type), y(o.y, p.type);
  const gpu::DeviceMemory workspace(convolution->workspace_bytes());
  const auto stream = gpu::make_stream();
  gpu::check(cudaDeviceSynchronize(), "uploading");
  if (captured) gpu::check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal), "a");
  convolution->run({x.data(), w.data(), y.data(), workspace.data()}, stream.get());
  if (captured) {
    cudaGraph_t graph = nullptr;
    gpu::check(cudaStreamEndCapture(stream.get(), &graph), "capturing");
    const gpu::GraphHandle owner(graph);
    cudaGraphExec_t exec = nullptr;
    gpu::check(cudaGraphInstantiate(&exec, graph, 0), "instantiating");
    const gpu::GraphExecHandle exec_owner(exec);
    gpu::check(cudaGraphLaunch(exec, stream.get()), "replaying");
    gpu::check(cudaStreamSynchronize(stream.get()), "replaying");
  }
  gpu::check(cudaStreamSynchronize(stream.get()), "running");
  return p.kind == gpu::ConvKind::forward ? y.values(p.type)
         : p.kind == gpu::ConvKind::data  ? x.values(p.type)
                                          : w.values(p.type);
}

TEST(CudnnDevice, ConvolutionsMatchSumsInDoublePrecision) {
  if (!has_gpu()) return expect_refusal();
  const auto vendor = gpu::make_cudnn_vendor(0);
  for (const auto& format : kFormats)
    for (const auto kind : {gpu::ConvKind::forward, gpu::ConvKind::data, gpu::ConvKind::weights})
      for (const int kernel : {1, 3, 7})
        for (const bool captured : {false, true}) {
          const gpu::ConvProblem p{kind,
                                   2,
                                   8,
                                   16,
                                   9,
                                   9,
                                   kernel,
                                   kernel == 3 ? 1 : 2,
                                   kernel / 2,
                                   format.type,
                                   format.tensor_float32,
                                   true};
          Values got;
          const Operands o = operands(p);
          const std::string why = refusal_of([&] { got = computed(*vendor, p, o, captured); });
          if (contains(why, "sm_75 has no")) continue;
          ASSERT_EQ(why, "");
          const Values want = reference(p, o);
          // One rounding to the stored type, and what Winograd's transformations lose in fp32.
          for (std::size_t i = 0; i < want.size(); ++i)
            ASSERT_NEAR(got[i], want[i], 1e-3f + std::abs(want[i]) * 0x1p-8f)
                << text_of(p) << " at " << i;
        }
}

TEST(CudnnDevice, TheRecordedEngineIsTakenAgain) {
  if (!has_gpu()) return expect_refusal();
  const gpu::ConvProblem p = cudnn_test::resnet18_convs(kFormats[0])[5];
  const std::string engine =
      gpu::make_cudnn_vendor(0)->convolution("unit", p, kCap, nullptr)->engine();
  const auto vendor = gpu::make_cudnn_vendor(0);
  const auto again = vendor->convolution("unit", p, kCap, &engine);
  EXPECT_EQ(again->engine(), engine);
  EXPECT_EQ(vendor->convolution("other", p, kCap, &engine), again) << "it is not remembered";
}

TEST(CudnnDevice, ProductsMatchSumsInDoublePrecision) {
  if (!has_gpu()) return expect_refusal();
  const auto vendor = gpu::make_cudnn_vendor(0);
  constexpr int m = 33, n = 10, k = 65;
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (const float beta : {0.f, 1.f}) {
        const auto product = vendor->product("fc", {m, n, k, ta, tb, beta});
        const Values a = small_integers(m * k, 4), b = small_integers(k * n, 5),
                     c = small_integers(m * n, 6);
        const OnDevice da(a, DType::f32), db(b, DType::f32), dc(c, DType::f32);
        const gpu::DeviceMemory workspace(product->workspace_bytes());
        product->run(static_cast<const float*>(da.data()), static_cast<const float*>(db.data()),
                     static_cast<float*>(dc.data()), workspace.data(), nullptr);
        gpu::check(cudaDeviceSynchronize(), "running");
        const Values got = dc.values(DType::f32);
        for (int i = 0; i < m; ++i)
          for (int j = 0; j < n; ++j) {
            double want = double{beta} * double{c[static_cast<std::size_t>(i * n + j)]};
            for (int l = 0; l < k; ++l)
              want += double{a[static_cast<std::size_t>(ta ? l * m + i : i * k + l)]} *
                      double{b[static_cast<std::size_t>(tb ? j * k + l : l * n + j)]};
            ASSERT_EQ(double{got[static_cast<std::size_t>(i * n + j)]}, want)
                << product->engine() << ta << tb << beta;
          }
      }
}

}  // namespace
