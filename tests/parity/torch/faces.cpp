#include "tests/parity/torch/faces.h"

#include <cmath>
#include <numbers>

#include "engine/philox.h"
#include "kernels/math/augment.h"

namespace affuse::parity {
namespace {

constexpr double kAlpha = 0.5;

/// A class's share, mean and covariance over (valence, arousal).
struct ClassVa {
  double share, v, a, vv, va, aa;
};

ClassVa class_va(int k) {
  const double angle = 2 * std::numbers::pi * k / kClasses;
  const double radius = k == 0 ? 0.05 : 0.55;
  const double tilt = 0.01 * (k % 3 - 1);
  double shares = 0;
  for (const float w : kClassWeight) shares += 1 / double{w};
  return {1 / (double{kClassWeight[static_cast<std::size_t>(k)]} * shares),
          radius * std::cos(angle),
          radius * std::sin(angle),
          0.02 + 0.004 * k,
          tilt,
          0.05 - 0.003 * k};
}

void draw_image(Batch& b, int n, int kind, Philox& random) {
  const double phase = random.uniform(0, 2 * std::numbers::pi), contrast = random.uniform(40, 90);
  const double fx = 1 + kind % 4, fy = 1 + kind / 4;
  std::uint8_t* at = b.pixels.data() + static_cast<std::ptrdiff_t>(n) * b.image * b.image * 3;
  for (int y = 0; y < b.image; ++y)
    for (int x = 0; x < b.image; ++x)
      for (int c = 0; c < 3; ++c) {
        const double turn = 2 * std::numbers::pi * (fx * x + fy * y) / b.image;
        const double wave = std::sin(turn + phase + c * (0.5 + kind));
        *at++ = static_cast<std::uint8_t>(
            std::clamp(128 + contrast * wave + random.uniform(-15, 15), 0.0, 255.0));
      }
}

// Eq. 1-2, without any care for range.
std::array<double, kClasses> posterior(double v, double a) {
  std::array<double, kClasses> p{};
  double sum = 0;
  for (int k = 0; k < kClasses; ++k) {
    const ClassVa g = class_va(k);
    const double det = g.vv * g.aa - g.va * g.va, dv = v - g.v, da = a - g.a;
    const double distance = (g.aa * dv * dv - 2 * g.va * dv * da + g.vv * da * da) / det;
    sum += p[static_cast<std::size_t>(k)] =
        g.share * std::exp(-distance / 2) / (2 * std::numbers::pi * std::sqrt(det));
  }
  for (double& x : p) x /= sum;
  return p;
}

}  // namespace

Batch make_batch(int size, int valid, int image, std::uint64_t seed) {
  const auto n = static_cast<std::size_t>(size);
  Batch b{size, valid, image, {}, {}, {}, {}};
  b.pixels.resize(n * static_cast<std::size_t>(image * image * 3));
  b.has_va.resize(n);
  Philox random(seed, Purpose::test, static_cast<std::uint32_t>(size));
  for (int i = 0; i < size; ++i) {
    const int kind = static_cast<int>(random.below(kClasses));
    const ClassVa g = class_va(kind);
    draw_image(b, i, kind, random);
    b.label.push_back(i % 7 == 5 ? -1 : kind);
    b.has_va[static_cast<std::size_t>(i)] = i % 7 == 3 ? 0 : 1;
    b.va.push_back(static_cast<float>(g.v + random.normal(0, std::sqrt(g.vv))));
    b.va.push_back(static_cast<float>(g.a + random.normal(0, std::sqrt(g.aa))));
  }
  return b;
}

Tensor normalised(const Batch& b, torch::Dtype type) {
  const Tensor bytes = torch::tensor(std::vector<float>(b.pixels.begin(), b.pixels.end()))
                           .reshape({b.size, b.image, b.image, 3})
                           .narrow(0, 0, b.valid)
                           .permute({0, 3, 1, 2})
                           .to(type);
  const auto channels = [&](std::array<double, 3> c) {
    return torch::tensor({c[0], c[1], c[2]}, torch::kDouble).to(type).reshape({1, 3, 1, 1});
  };
  return ((bytes / 255 - channels({0.485, 0.456, 0.406})) / channels({0.229, 0.224, 0.225}))
      .contiguous();
}

math::TargetModel<float> label_model() {
  math::TargetModel<float> m{};
  m.kind = math::TargetKind::gmm;
  m.classes = m.gmm.classes = kClasses;
  m.knows_va = true;
  m.alpha = static_cast<float>(kAlpha);
  for (int k = 0; k < kClasses; ++k) {
    const ClassVa c = class_va(k);
    const auto g = math::make_gaussian<double>(c.share, c.v, c.a, c.vv, c.va, c.aa);
    m.gmm.gaussian[k] = {static_cast<float>(g.mu_v), static_cast<float>(g.mu_a),
                         static_cast<float>(g.w11),  static_cast<float>(g.w21),
                         static_cast<float>(g.w22),  static_cast<float>(g.log_scale)};
  }
  return m;
}

Tensor fused_labels(const Batch& b) {
  std::vector<double> q;
  for (int i = 0; i < b.valid; ++i) {
    const auto n = static_cast<std::size_t>(i);
    const auto p = posterior(double{b.va[2 * n]}, double{b.va[2 * n + 1]});
    const int label = b.label[n];
    // A sample without VA trains on its class, one without a class on its VA.
    const double alpha = b.has_va[n] == 0 ? 1 : label < 0 ? 0 : kAlpha;
    for (int k = 0; k < kClasses; ++k)
      q.push_back((k == label ? alpha : 0) + (1 - alpha) * p[static_cast<std::size_t>(k)]);
  }
  return torch::tensor(q, torch::kDouble).reshape({b.valid, kClasses});
}

math::LossSettings loss_settings() {
  math::LossSettings s;
  s.classes = kClasses;
  std::copy(kClassWeight.begin(), kClassWeight.end(), s.class_weight);
  return s;
}

void upload(Plan& plan, const Batch& b) {
  const std::vector<math::AugmentParams> none(static_cast<std::size_t>(b.size));
  const auto send = [&](const char* name, const auto& values) {
    if (plan.has(name)) plan.upload(name, values.data(), values.size() * sizeof(values[0]));
  };
  send(io::images, b.pixels);
  send(io::augment, none);
  send(io::label, b.label);
  send(io::va, b.va);
  send(io::has_va, b.has_va);
  send(io::given, std::vector<float>(static_cast<std::size_t>(b.size * kClasses)));
  plan.state().valid = b.valid;
}

}  // namespace affuse::parity
