// The heads' matrix products against double loops.
#include "kernels/cpu/linear.h"

#include "tests/kernels/blocked.h"

namespace affuse::cpu {
namespace {

using blocked::random_vector;
using blocked::same_bits;
using blocked::Threads;

struct Head {
  LinearShape s;
  std::vector<float> x, w, b, y, dy, dx, dw, db;

  explicit Head(const LinearShape& shape)
      : s(shape),
        x(random_vector(size(s.n, s.in), 1, -1, 1)),
        w(random_vector(size(s.out, s.in), 2, -0.3f, 0.3f)),
        b(random_vector(size(s.out, 1), 3, -1, 1)),
        y(size(s.n, s.out), NAN),
        dy(random_vector(y.size(), 4, -1, 1)),
        dx(random_vector(x.size(), 5, -1, 1)),
        dw(w.size(), NAN),
        db(b.size(), NAN) {}

  static std::size_t size(int a, int b) {
    return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
  }
  void forward(Activation f) { linear_forward(x.data(), w.data(), b.data(), s, f, y.data()); }
  LinearBackward gradients(Activation f, Write write) {
    return {dy.data(), y.data(), x.data(), w.data(), f, dx.data(), write, dw.data(), db.data()};
  }
  double at(const std::vector<float>& v, int row, int pitch, int column) const {
    return double{v[static_cast<std::size_t>(row * pitch + column)]};
  }
};

const std::vector<LinearShape> shapes = {{1, 1, 1},  {3, 7, 2},    {5, 8, 4},     {64, 512, 10},
                                         {3, 33, 9}, {130, 40, 5}, {2, 4096, 32}, {70, 513, 33}};

TEST(Linear, ForwardIsTheEquation) {
  for (const LinearShape& s : shapes) {
    for (const Activation f : {Activation::none, Activation::tanh}) {
      Head h(s);
      h.forward(f);
      for (int n = 0; n < s.n; ++n) {
        for (int o = 0; o < s.out; ++o) {
          double want = h.at(h.b, 0, s.out, o);
          for (int i = 0; i < s.in; ++i) want += h.at(h.x, n, s.in, i) * h.at(h.w, o, s.in, i);
          if (f == Activation::tanh) want = std::tanh(want);
          ASSERT_NEAR(h.at(h.y, n, s.out, o), want, 1e-5) << s.in << " x " << s.out;
        }
      }
    }
  }
}

TEST(Linear, BackwardIsTheEquation) {
  for (const LinearShape& s : shapes) {
    for (const Activation f : {Activation::none, Activation::tanh}) {
      for (const Write write : {Write::overwrite, Write::accumulate}) {
        Head h(s);
        h.forward(f);
        const std::vector<float> before = h.dx;
        linear_backward(h.gradients(f, write), s);
        const auto d = [&](int n, int o) {
          const double y = f == Activation::tanh ? h.at(h.y, n, s.out, o) : 0;
          return h.at(h.dy, n, s.out, o) * (1 - y * y);
        };
        for (int n = 0; n < s.n; ++n) {
          for (int i = 0; i < s.in; ++i) {
            double want = write == Write::accumulate ? h.at(before, n, s.in, i) : 0;
            for (int o = 0; o < s.out; ++o) want += d(n, o) * h.at(h.w, o, s.in, i);
            ASSERT_NEAR(h.at(h.dx, n, s.in, i), want, 1e-5);
          }
        }
        for (int o = 0; o < s.out; ++o) {
          double db = 0;
          for (int n = 0; n < s.n; ++n) db += d(n, o);
          ASSERT_NEAR(h.at(h.db, 0, s.out, o), db, 1e-5);
          for (int i = 0; i < s.in; ++i) {
            double want = 0;
            for (int n = 0; n < s.n; ++n) want += d(n, o) * h.at(h.x, n, s.in, i);
            ASSERT_NEAR(h.at(h.dw, o, s.in, i), want, 2e-5);
          }
        }
      }
    }
  }
}

TEST(Linear, InputAndBiasGradientsAreOptional) {
  Head h({3, 20, 4}), full({3, 20, 4});
  linear_forward(h.x.data(), h.w.data(), nullptr, h.s, Activation::none, h.y.data());
  full.b.assign(4, 0);
  full.forward(Activation::none);
  EXPECT_EQ(h.y, full.y);
  const auto dx = h.dx;
  auto a = h.gradients(Activation::none, Write::overwrite);
  a.dx = nullptr;
  a.db = nullptr;
  linear_backward(a, h.s);
  linear_backward(full.gradients(Activation::none, Write::overwrite), h.s);
  EXPECT_EQ(h.dw, full.dw);
  EXPECT_EQ(h.dx, dx);
  EXPECT_TRUE(std::isnan(h.db[0]));
}

TEST(Linear, BitsDoNotDependOnTheThreads) {
  const LinearShape s{130, 515, 10};
  Head one(s), two(s);
  for (Head* h : {&one, &two}) {
    const Threads threads(h == &one ? 1 : 2);
    h->forward(Activation::tanh);
    linear_backward(h->gradients(Activation::tanh, Write::accumulate), s);
  }
  EXPECT_TRUE(same_bits(one.y, two.y));
  EXPECT_TRUE(same_bits(one.dx, two.dx));
  EXPECT_TRUE(same_bits(one.dw, two.dw));
  EXPECT_TRUE(same_bits(one.db, two.db));
}

}  // namespace
}  // namespace affuse::cpu
