#include "tests/parity/torch/compare.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "gtest/gtest.h"

namespace affuse::parity {
namespace {

/// LibTorch's CPU convolutions are oneDNN's by default: a reference must not be what it checks.
class OwnConvolutions : public testing::Environment {
  void SetUp() override { at::globalContext().setUserEnabledMkldnn(false); }
};
testing::Environment* const own_convolutions =
    testing::AddGlobalTestEnvironment(std::make_unique<OwnConvolutions>().release());

struct Pair {
  Tensor got, want;
};

Pair in_double(const Tensor& got, const Tensor& want) {
  return {got.detach().to(torch::kDouble).reshape(-1),
          want.detach().to(torch::kDouble).reshape(-1)};
}

double ratio(double difference, double size) {
  if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
  return difference == 0 ? 0 : difference / size;
}

}  // namespace

double largest_error(const Tensor& got, const Tensor& want) {
  const Pair p = in_double(got, want);
  return ratio((p.got - p.want).abs().max().item<double>(), p.want.abs().max().item<double>());
}

double overall_error(const Tensor& got, const Tensor& want) {
  const Pair p = in_double(got, want);
  return ratio((p.got - p.want).norm().item<double>(), p.want.norm().item<double>());
}

Tensor stored(const Tensor& x, DType type) {
  return x.to(type == DType::bf16 ? torch::kBFloat16 : torch::kFloat).to(torch::kDouble);
}

Closeness::Closeness(std::string title, double tolerance, Measure measure)
    : title_(std::move(title)), tolerance_(tolerance), measure_(measure) {}

Closeness::~Closeness() {
  if (count_ == 0) return;
  fmt::print("[  PARITY  ] {}: {} tensors, largest relative error {:.2e} ({}), allowed {:.0e}\n",
             title_, count_, worst_, worst_what_, tolerance_);
  testing::Test::RecordProperty(title_, fmt::format("{:.3e}", worst_));
}

void Closeness::check(const std::string& what, const Tensor& got, const Tensor& want) {
  ASSERT_EQ(got.numel(), want.numel()) << title_ << ": " << what;
  const double error = measure_(got, want);
  EXPECT_LE(error, tolerance_) << title_ << ": " << what;
  ++count_;
  if (error > worst_ || count_ == 1) {
    worst_ = error;
    worst_what_ = what;
  }
}

void Closeness::check(const std::string& what, double got, double want) {
  check(what, torch::tensor({got}, torch::kDouble), torch::tensor({want}, torch::kDouble));
}

}  // namespace affuse::parity
