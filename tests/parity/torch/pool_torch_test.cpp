// Pooling and the heads against LibTorch in double.
#include "gtest/gtest.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/pool.h"
#include "tests/parity/torch/maps.h"

namespace affuse::parity {
namespace {

constexpr int block = 8;

template <class T>
void compare_pools(const MapsCase& m, Closeness& close) {
  // Halves of integers: many windows hold ties, and torch sends the gradient to the first.
  Tensor x = (torch::round(2 * draw<T>(m.in())) / 2).requires_grad_();
  const Tensor dy = draw<T>(m.pooled()), d_mean = draw<float>({m.n, m.c});
  const Tensor want = torch::max_pool2d(x, 3, 2, 1), want_mean = x.mean({2, 3});
  const Tensor want_dx = torch::autograd::grad({want}, {x}, {dy})[0];
  const Tensor want_mean_dx = torch::autograd::grad({want_mean}, {x}, {d_mean})[0];

  const cpu::PoolMaps shape{m.n, m.c, m.h, m.w, block};
  std::vector<T> in = to_maps<T>(x, block), y(shape.out().size()), dx(in.size());
  std::vector<T> d = to_maps<T>(dy, block);
  std::vector<std::uint8_t> index(y.size());
  cpu::max_pool_forward(in.data(), shape, y.data(), index.data());
  close.check(m.text() + " max", from_maps(y, dy.sizes(), block), want);
  cpu::max_pool_backward(d.data(), index.data(), shape, dx.data());
  close.check(m.text() + " max backward", from_maps(dx, x.sizes(), block), want_dx);

  std::vector<float> mean(static_cast<std::size_t>(m.n * m.c));
  cpu::average_pool_forward(in.data(), shape.in(), mean.data());
  close.check(m.text() + " mean", tensor(mean, {m.n, m.c}), want_mean);
  cpu::average_pool_backward(floats(d_mean).data(), shape.in(), dx.data());
  close.check(m.text() + " mean backward", from_maps(dx, x.sizes(), block), want_mean_dx);
}

template <class T>
class TorchPool : public testing::Test {};
using Storage = testing::Types<float, Bf16>;
TYPED_TEST_SUITE(TorchPool, Storage);

TYPED_TEST(TorchPool, MaximumAndMeanAgree) {
  torch::manual_seed(2);
  Worst worst("pooling", type_of<TypeParam>);
  for (const MapsCase& m : kMaps) compare_pools<TypeParam>(m, worst.maps);
}

struct HeadCase {
  int n, in, out;
  bool tanh;
};

void compare_head(const HeadCase& head, Closeness& close) {
  const auto [n, in, out, tanh] = head;
  const std::string text = fmt::format("{}x{} -> {} ", n, in, out);
  Tensor x = draw<float>({n, in}).requires_grad_(), b = draw<float>({out}).requires_grad_();
  Tensor w = (draw<float>({out, in}) / 16).requires_grad_();
  const Tensor dy = draw<float>({n, out}), before = draw<float>({n, in});
  const Tensor linear = torch::linear(x, w, b), want = tanh ? torch::tanh(linear) : linear;
  want.backward(dy);

  const cpu::LinearShape shape{n, in, out};
  const auto activation = tanh ? cpu::Activation::tanh : cpu::Activation::none;
  const auto fx = floats(x), fw = floats(w), fb = floats(b), fdy = floats(dy);
  std::vector<float> y(fdy.size()), dx = floats(before), dw(fw.size()), db(fb.size());
  cpu::linear_forward(fx.data(), fw.data(), fb.data(), shape, activation, y.data());
  cpu::linear_backward({.dy = fdy.data(),
                        .y = y.data(),
                        .x = fx.data(),
                        .w = fw.data(),
                        .activation = activation,
                        .dx = dx.data(),
                        .dx_write = cpu::Write::accumulate,
                        .dw = dw.data(),
                        .db = db.data()},
                       shape);
  close.check(text + "y", tensor(y, {n, out}), want);
  close.check(text + "dx, accumulated", tensor(dx, {n, in}), x.grad() + before);
  close.check(text + "dw", tensor(dw, {out, in}), w.grad());
  close.check(text + "db", tensor(db, {out}), b.grad());
}

TEST(TorchHead, ForwardAndBackwardAgree) {
  torch::manual_seed(3);
  Closeness close("linear heads", 3e-6);
  for (const HeadCase& head :
       {HeadCase{64, 512, 8, false}, HeadCase{64, 512, 2, true}, HeadCase{1, 128, 8, false},
        HeadCase{3, 256, 2, true}, HeadCase{5, 37, 7, true}})
    compare_head(head, close);
}

}  // namespace
}  // namespace affuse::parity
