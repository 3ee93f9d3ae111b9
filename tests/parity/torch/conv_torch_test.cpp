// Every convolution of ResNet-18, and odd ones, against LibTorch in double.
#include <set>

#include <fmt/format.h>

#include "engine/arena.h"
#include "gtest/gtest.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/layout.h"
#include "layers/resnet18.h"
#include "tests/parity/torch/maps.h"

namespace affuse::parity {
namespace {

using cpu::ConvPlaces;
using cpu::ConvProblem;

/// Runs single convolution steps as a program does: lowered, scratch placed by the arena.
template <class T>
class ConvSteps {
 public:
  explicit ConvSteps(const ConvProblem& problem)
      : problem_(problem), weights_(cpu::stored_weights(dnn_, problem)) {}

  Tensor forward(const Tensor& x, const Tensor& w) {
    x_ = to_maps<T>(x, dnn_.block);
    w_ = packed(w);
    y_.resize(count(y_shape()));
    run(w_.data(), [&](const ConvPlaces& at, Program& program, Step& step) {
      cpu::lower_forward(dnn_, problem_, weights_, at, false, false, program, step, nullptr);
    });
    return from_maps(y_, y_shape(), dnn_.block);
  }

  Tensor folded(const Tensor& x, const Tensor& w, const Tensor& bias) {
    x_ = to_maps<T>(x, dnn_.block);
    w_ = packed(w);
    bias_ = floats(bias);
    y_.resize(count(y_shape()));
    run(w_.data(), [&](const ConvPlaces& at, Program& program, Step& step) {
      cpu::lower_forward(dnn_, problem_, weights_, at, true, true, program, step, nullptr);
    });
    return from_maps(y_, y_shape(), dnn_.block);
  }

  /// Adds to `before` if it is defined.
  Tensor backward_data(const Tensor& dy, const Tensor& w, const Tensor& before) {
    y_ = to_maps<T>(dy, dnn_.block);
    w_ = packed(w);
    // Garbage where the step overwrites.
    x_ = to_maps<T>(before.defined() ? before : torch::full(x_shape(), 1e9), dnn_.block);
    run(w_.data(), [&](const ConvPlaces& at, Program& program, Step& step) {
      cpu::lower_backward_data(dnn_, problem_, weights_, at, before.defined(), program, step,
                               nullptr);
    });
    return from_maps(x_, x_shape(), dnn_.block);
  }

  Tensor backward_weights(const Tensor& x, const Tensor& dy) {
    x_ = to_maps<T>(x, dnn_.block);
    y_ = to_maps<T>(dy, dnn_.block);
    std::vector<float> dw(weights_.get_size() / sizeof(float), 1e9f);
    run(dw.data(), [&](const ConvPlaces& at, Program& program, Step& step) {
      cpu::lower_backward_weights(dnn_, problem_, weights_, at, program, step, nullptr);
    });
    std::vector<float> plain(count(w_shape()));
    cpu::unpack_weights(dnn_, w_shape(), weights_, dw.data(), plain.data());
    return tensor(plain, w_shape());
  }

 private:
  using Dims = std::vector<std::int64_t>;

  Dims x_shape() const { return {problem_.n, problem_.in, problem_.height, problem_.width}; }
  Dims y_shape() const {
    return {problem_.n, problem_.out, problem_.out_height(), problem_.out_width()};
  }
  Dims w_shape() const { return {problem_.out, problem_.in, problem_.kernel, problem_.kernel}; }
  static std::size_t count(const Dims& d) {
    return static_cast<std::size_t>(d[0] * d[1] * d[2] * d[3]);
  }

  std::vector<T> packed(const Tensor& w) {
    std::vector<float> out(weights_.get_size() / sizeof(float));
    cpu::pack_weights(dnn_, w_shape(), weights_, floats(w).data(), out.data());
    return converted<T>(out);
  }

  template <class Lower>
  void run(void* weights, const Lower& lower) {
    Program program;
    const auto add = [&](const char* name) {
      return program.add(name, TensorDesc{}, Life::external);
    };
    const ConvPlaces at{{add("x")}, {add("weights")}, {add("y")}, {add("bias")}};
    Step step{"convolution"};
    lower(at, program, step);
    program.steps.push_back(std::move(step));
    const ArenaPlan arena = place(program);
    const auto slab = backend_->allocate(arena.bytes);
    Frame frame{{x_.data(), weights, y_.data(), bias_.data()}, nullptr};
    for (std::size_t i = frame.address.size(); i < program.buffers.size(); ++i)
      frame.address.push_back(static_cast<std::byte*>(slab->data()) + arena.placements[i].offset);
    backend_->run(program, frame);
  }

  cpu::OneDnn dnn_;
  std::unique_ptr<Backend> backend_ = make_cpu_backend(0);
  ConvProblem problem_;
  dnnl::memory::desc weights_;
  std::vector<T> x_, w_, y_;
  std::vector<float> bias_;
};

/// The distinct convolutions of a network, at a batch.
std::vector<ConvProblem> of_network(int image, double width, int batch) {
  NetworkSpec spec;
  spec.image_size = image;
  spec.width = width;
  const Graph graph = resnet18(spec);
  std::vector<ConvProblem> problems;
  std::set<std::string> seen;
  for (const NamedOp& op : graph.ops()) {
    const auto* c = std::get_if<Conv>(&op.op);
    if (c == nullptr) continue;
    const Shape& x = graph.at(c->x).shape;
    const ConvProblem p{
        batch,     c->in,     c->out, static_cast<int>(x[1]), static_cast<int>(x[2]),
        c->kernel, c->stride, c->pad};
    if (seen.insert(p.text()).second) problems.push_back(p);
  }
  return problems;
}

std::vector<ConvProblem> at_224() {
  return {{1, 3, 64, 224, 224, 7, 2, 3},
          {1, 64, 64, 56, 56, 3, 1, 1},
          {1, 64, 128, 56, 56, 3, 2, 1},
          {1, 512, 512, 7, 7, 3, 1, 1}};
}

std::vector<ConvProblem> odd() {
  std::vector<ConvProblem> all = {{3, 16, 32, 5, 7, 1, 2, 0},  {1, 32, 32, 9, 13, 3, 1, 1},
                                  {5, 16, 48, 9, 13, 3, 2, 1}, {2, 48, 16, 13, 9, 1, 2, 0},
                                  {3, 3, 16, 33, 31, 7, 2, 3}, {1, 3, 32, 7, 9, 7, 2, 3}};
  for (const int batch : {1, 3, 5})
    for (int size = 1; size <= 7; ++size) {
      all.push_back({batch, 16, 32, size, size, 3, 1, 1});
      all.push_back({batch, 32, 16, size, size, 3, 2, 1});
    }
  return all;
}

/// The tolerance is on activations and their gradients; those of weights are fp32 always.
struct Stored {
  DType type;
  double tolerance;
};

struct Group {
  std::string name;
  std::vector<ConvProblem> problems;
};

void PrintTo(const Stored& as, std::ostream* out) { *out << name_of(as.type); }
void PrintTo(const Group& group, std::ostream* out) { *out << group.name; }

class TorchConv : public testing::TestWithParam<std::tuple<Stored, Group>> {};

template <class T>
void compare(const ConvProblem& p, Closeness& forward, Closeness& data, Closeness& weights) {
  torch::manual_seed(static_cast<std::uint64_t>(p.n + 10 * p.in + 100 * p.height));
  const auto draw = [&](torch::IntArrayRef shape) {
    return stored(torch::randn(shape, torch::kDouble), p.type);
  };
  Tensor x = draw({p.n, p.in, p.height, p.width}).requires_grad_();
  Tensor w = draw({p.out, p.in, p.kernel, p.kernel}).requires_grad_();
  const Tensor y = torch::conv2d(x, w, {}, p.stride, p.pad);
  const Tensor dy = draw(y.sizes()), before = draw(x.sizes());
  const Tensor bias = torch::randn({p.out}, torch::kFloat).to(torch::kDouble);
  y.backward(dy);

  ConvSteps<T> steps(p);
  forward.check(p.text(), steps.forward(x, w), y);
  forward.check(p.text() + ", bias and ReLU", steps.folded(x, w, bias),
                torch::relu(y + bias.reshape({1, -1, 1, 1})));
  data.check(p.text(), steps.backward_data(dy, w, {}), x.grad());
  data.check(p.text() + ", accumulated", steps.backward_data(dy, w, before), x.grad() + before);
  weights.check(p.text(), steps.backward_weights(x, dy), w.grad());
}

TEST_P(TorchConv, AllDirectionsAgree) {
  const auto& [as, group] = GetParam();
  const std::string title = fmt::format("convolution {} {} ", name_of(as.type), group.name);
  Closeness forward(title + "forward", as.tolerance);
  Closeness data(title + "backward data", as.tolerance);
  Closeness weights(title + "backward weights", 1e-5);
  for (ConvProblem p : group.problems) {
    p.type = as.type;
    as.type == DType::bf16 ? compare<Bf16>(p, forward, data, weights)
                           : compare<float>(p, forward, data, weights);
  }
}

INSTANTIATE_TEST_SUITE_P(
    ResNet18, TorchConv,
    testing::Combine(testing::Values(Stored{DType::f32, 1e-5}, Stored{DType::bf16, 1.0 / 256}),
                     testing::Values(Group{"64px_width1", of_network(64, 1.0, 2)},
                                     Group{"64px_width05", of_network(64, 0.5, 3)},
                                     Group{"224px", at_224()}, Group{"odd", odd()})),
    [](const auto& test) {
      return fmt::format("{}_{}", name_of(std::get<0>(test.param).type),
                         std::get<1>(test.param).name);
    });

}  // namespace
}  // namespace affuse::parity
