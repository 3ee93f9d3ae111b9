// Batch norm with residual and ReLU, and the fused stem, against LibTorch in double.
#include "gtest/gtest.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/stem.h"
#include "tests/parity/torch/maps.h"

namespace affuse::parity {
namespace {

constexpr double eps = 1e-5, momentum = 0.1;
constexpr int block = 8;

/// A batch norm's numbers on both sides, with its running statistics.
struct Norm {
  Tensor weight, bias, running_mean, running_var;
  std::vector<float> gamma, beta, mean, var, invstd, dgamma, dbeta, run_mean, run_var;

  explicit Norm(int c)
      : weight((torch::randn({c}, torch::kFloat) + 0.5).to(torch::kDouble)),
        bias(torch::randn({c}, torch::kFloat).to(torch::kDouble)),
        running_mean(torch::randn({c}, torch::kFloat).to(torch::kDouble)),
        running_var((torch::rand({c}, torch::kFloat) + 0.5).to(torch::kDouble)),
        gamma(floats(weight)),
        beta(floats(bias)),
        mean(gamma.size()),
        var(mean),
        invstd(mean),
        dgamma(mean),
        dbeta(mean),
        run_mean(floats(running_mean)),
        run_var(floats(running_var)) {
    weight.requires_grad_();
    bias.requires_grad_();
  }
  Tensor operator()(const Tensor& x) {
    return torch::batch_norm(x, weight, bias, running_mean, running_var, true, momentum, eps,
                             false);
  }
  void update_running(const MapsCase& m) {
    cpu::bn_update_running(mean.data(), var.data(), m.c, std::int64_t{m.valid} * m.h * m.w,
                           static_cast<float>(momentum), run_mean.data(), run_var.data());
  }
  void check(const MapsCase& m, Closeness& close) const {
    close.check(m.text() + " d weight", tensor(dgamma, {-1}), weight.grad());
    close.check(m.text() + " d bias", tensor(dbeta, {-1}), bias.grad());
    close.check(m.text() + " running mean", tensor(run_mean, {-1}), running_mean);
    close.check(m.text() + " running var", tensor(run_var, {-1}), running_var);
  }
};

template <class T>
class TorchNorm : public testing::Test {
 protected:
  void SetUp() override { torch::manual_seed(1); }
};
using Storage = testing::Types<float, Bf16>;
TYPED_TEST_SUITE(TorchNorm, Storage);

template <class T>
void compare_unit(const MapsCase& m, bool with_residual, bool relu, Worst& worst) {
  const Tensor all_x = draw<T>(m.in(), 2, 0.7), all_residual = draw<T>(m.in());
  const Tensor all_dy = draw<T>(m.in());
  Norm norm(m.c);
  const Tensor x = all_x.narrow(0, 0, m.valid).clone().requires_grad_();
  const Tensor residual = all_residual.narrow(0, 0, m.valid).clone().requires_grad_();
  const auto shape = m.in();

  std::vector<T> in = to_maps<T>(all_x, block), skip = to_maps<T>(all_residual, block);
  std::vector<T> dy = to_maps<T>(all_dy, block), y(in.size()), dx(in.size());
  std::vector<T> d_skip = to_maps<T>(all_residual, block);
  cpu::bn_forward<T>({.x = in.data(),
                      .gamma = norm.gamma.data(),
                      .beta = norm.beta.data(),
                      .residual = with_residual ? skip.data() : nullptr,
                      .relu = relu,
                      .y = y.data(),
                      .mean = norm.mean.data(),
                      .var = norm.var.data(),
                      .invstd = norm.invstd.data()},
                     maps_of(shape, block), m.valid);
  norm.update_running(m);
  const Tensor got_y = from_maps(y, shape, block).narrow(0, 0, m.valid);

  Tensor want_y = norm(x);
  if (with_residual) want_y = want_y + residual;
  if (relu) want_y = torch::relu(want_y);
  worst.maps.check(m.text() + " y", got_y, want_y);
  want_y.backward(all_dy.narrow(0, 0, m.valid));

  cpu::bn_backward<T>({.dy = dy.data(),
                       .x = in.data(),
                       .y = relu ? y.data() : nullptr,
                       .mean = norm.mean.data(),
                       .invstd = norm.invstd.data(),
                       .gamma = norm.gamma.data(),
                       .dx = dx.data(),
                       .dgamma = norm.dgamma.data(),
                       .dbeta = norm.dbeta.data(),
                       .d_residual = with_residual ? d_skip.data() : nullptr,
                       .residual_write = cpu::Write::accumulate},
                      maps_of(shape, block), m.valid);
  const Tensor got_dx = from_maps(dx, shape, block);
  worst.maps.check(m.text() + " dx", got_dx.narrow(0, 0, m.valid), x.grad());
  EXPECT_EQ(got_dx.narrow(0, m.valid, m.n - m.valid).abs().sum().item<double>(), 0);
  if (with_residual)
    worst.maps.check(m.text() + " d residual, accumulated",
                     from_maps(d_skip, shape, block).narrow(0, 0, m.valid),
                     residual.grad() + residual.detach());
  norm.check(m, worst.sums);
}

TYPED_TEST(TorchNorm, UnitAgrees) {
  Worst plain("batch norm", type_of<TypeParam>), relu("batch norm + ReLU", type_of<TypeParam>),
      residual("batch norm + residual + ReLU", type_of<TypeParam>);
  for (const MapsCase& m : kMaps) {
    compare_unit<TypeParam>(m, false, false, plain);
    compare_unit<TypeParam>(m, false, true, relu);
    compare_unit<TypeParam>(m, true, true, residual);
  }
}

template <class T>
void compare_stem(const MapsCase& m, Worst& worst) {
  const Tensor all_x = draw<T>(m.in(), 2, 0.7), all_dy = draw<T>(m.pooled());
  const cpu::PoolMaps shape{m.n, m.c, m.h, m.w, block};
  Norm norm(m.c);
  const Tensor x = all_x.narrow(0, 0, m.valid).clone().requires_grad_();
  const Tensor want_y = torch::max_pool2d(torch::relu(norm(x)), 3, 2, 1);
  want_y.backward(all_dy.narrow(0, 0, m.valid));

  std::vector<T> in = to_maps<T>(all_x, block), dy = to_maps<T>(all_dy, block);
  std::vector<T> y(shape.out().size()), dx(in.size());
  std::vector<std::uint8_t> index(y.size());
  cpu::stem_forward<T>({.x = in.data(),
                        .gamma = norm.gamma.data(),
                        .beta = norm.beta.data(),
                        .y = y.data(),
                        .index = index.data(),
                        .mean = norm.mean.data(),
                        .var = norm.var.data(),
                        .invstd = norm.invstd.data()},
                       shape, m.valid);
  norm.update_running(m);
  worst.maps.check(m.text() + " y", from_maps(y, all_dy.sizes(), block).narrow(0, 0, m.valid),
                   want_y);
  cpu::stem_backward<T>({.dy = dy.data(),
                         .y = y.data(),
                         .index = index.data(),
                         .x = in.data(),
                         .mean = norm.mean.data(),
                         .invstd = norm.invstd.data(),
                         .gamma = norm.gamma.data(),
                         .dx = dx.data(),
                         .dgamma = norm.dgamma.data(),
                         .dbeta = norm.dbeta.data()},
                        shape, m.valid);
  worst.maps.check(m.text() + " dx", from_maps(dx, all_x.sizes(), block).narrow(0, 0, m.valid),
                   x.grad());
  norm.check(m, worst.sums);
}

TYPED_TEST(TorchNorm, FusedStemAgrees) {
  Worst worst("stem", type_of<TypeParam>);
  for (const MapsCase& m : kMaps) compare_stem<TypeParam>(m, worst);
}

}  // namespace
}  // namespace affuse::parity
