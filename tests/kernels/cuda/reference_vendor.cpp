#include "tests/kernels/cuda/reference_vendor.h"

#include <algorithm>
#include <vector>

#include "engine/error.h"

namespace affuse::cuda_emulated {
namespace {

// f(sample and output pixel, output channel's first weight, input pixel) for every product of a
// convolution; each argument is the index of a run of `in` or single channels.
template <class F>
void each_tap(const ConvProblem& p, F f) {
  for (int n = 0; n < p.n; ++n)
    for (int oy = 0; oy < p.out_h(); ++oy)
      for (int ox = 0; ox < p.out_w(); ++ox)
        for (int ky = 0; ky < p.kernel; ++ky)
          for (int kx = 0; kx < p.kernel; ++kx) {
            const int y = oy * p.stride - p.pad + ky, x = ox * p.stride - p.pad + kx;
            if (y < 0 || y >= p.h || x < 0 || x >= p.w) continue;
            f(static_cast<std::size_t>((n * p.out_h() + oy) * p.out_w() + ox),
              static_cast<std::size_t>(ky * p.kernel + kx),
              static_cast<std::size_t>((n * p.h + y) * p.w + x));
          }
}

template <class T>
std::vector<double> widened(const void* data, std::size_t count) {
  const auto* from = static_cast<const T*>(data);
  std::vector<double> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = double{to_float(from[i])};
  return out;
}

template <class T>
class ReferenceConvolution : public Convolution {
 public:
  explicit ReferenceConvolution(const ConvProblem& problem) : p_(problem) {}
  std::string engine() const override { return "reference"; }
  std::size_t workspace_bytes() const override { return 0; }

  void run(const ConvArguments& a, Stream /*stream*/) const override {
    const auto in = static_cast<std::size_t>(p_.in), out = static_cast<std::size_t>(p_.out);
    const auto taps = static_cast<std::size_t>(p_.kernel * p_.kernel);
    const std::size_t xs = static_cast<std::size_t>(p_.n * p_.h * p_.w) * in;
    const std::size_t ys = static_cast<std::size_t>(p_.n * p_.out_h() * p_.out_w()) * out;
    const std::size_t ws = out * taps * in;
    const bool data = p_.kind == ConvKind::data, weights = p_.kind == ConvKind::weights;
    const bool forward = p_.kind == ConvKind::forward;
    std::vector<double> x = data ? std::vector<double>(xs) : widened<T>(a.x, xs);
    std::vector<double> w = weights ? std::vector<double>(ws) : widened<T>(a.w, ws);
    std::vector<double> y = forward ? std::vector<double>(ys) : widened<T>(a.y, ys);
    each_tap(p_, [&](std::size_t pixel, std::size_t tap, std::size_t source) {
      for (std::size_t k = 0; k < out; ++k) {
        double& yk = y[pixel * out + k];
        double* wk = &w[(k * taps + tap) * in];
        double* xc = &x[source * in];
        for (std::size_t c = 0; c < in; ++c) {
          if (forward) yk += xc[c] * wk[c];
          if (data) xc[c] += yk * wk[c];
          if (weights) wk[c] += yk * xc[c];
        }
      }
    });
    store(forward ? y : data ? x : w, forward ? a.y : data ? a.x : a.w);
  }

 private:
  static void store(const std::vector<double>& from, void* to) {
    for (std::size_t i = 0; i < from.size(); ++i)
      from_float(static_cast<float>(from[i]), static_cast<T*>(to)[i]);
  }

  ConvProblem p_;
};

class ReferenceProduct : public Product {
 public:
  explicit ReferenceProduct(const ProductSpec& spec) : s_(spec) {}
  std::string engine() const override { return "reference"; }
  std::size_t workspace_bytes() const override { return 0; }

  void run(const float* a, const float* b, float* c, void* /*workspace*/,
           Stream /*stream*/) const override {
    for (int i = 0; i < s_.m; ++i)
      for (int j = 0; j < s_.n; ++j) {
        double sum = 0;
        for (int l = 0; l < s_.k; ++l)
          sum += double{s_.transpose_a ? a[l * s_.m + i] : a[i * s_.k + l]} *
                 double{s_.transpose_b ? b[j * s_.k + l] : b[l * s_.n + j]};
        float& to = c[i * s_.n + j];
        to = static_cast<float>(s_.beta == 0 ? sum : double{s_.beta} * double{to} + sum);
      }
  }

 private:
  ProductSpec s_;
};

}  // namespace

std::shared_ptr<const Convolution> ReferenceVendor::convolution(const std::string& unit,
                                                                const ConvProblem& problem,
                                                                std::size_t /*workspace_cap*/,
                                                                const std::string* /*recorded*/) {
  const int pack = 16 / static_cast<int>(size_of(problem.type));
  if (problem.in % pack != 0 || problem.out % pack != 0)
    throw DeviceError(unit + ": " + text_of(problem) + " has channels that fill no 16 bytes");
  switch (problem.type) {
    case DType::bf16:
      return std::make_shared<ReferenceConvolution<Bf16>>(problem);
    case DType::f16:
      return std::make_shared<ReferenceConvolution<Half>>(problem);
    default:
      return std::make_shared<ReferenceConvolution<float>>(problem);
  }
}

std::shared_ptr<const Product> ReferenceVendor::product(const std::string& /*unit*/,
                                                        const ProductSpec& spec) {
  return std::make_shared<ReferenceProduct>(spec);
}

}  // namespace affuse::cuda_emulated
