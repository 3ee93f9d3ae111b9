// Batches of smooth made-up images with annotations, and their fused labels by naive formulas.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "kernels/math/affect.h"
#include "kernels/math/targets.h"
#include "layers/plan.h"
#include "tests/parity/torch/compare.h"

namespace affuse::parity {

inline constexpr int kClasses = 8;
/// W_k = N_max / N_k (Eq. 5) of made-up counts.
inline constexpr std::array<float, kClasses> kClassWeight = {1.f, 1.5f, 4.f,  2.f,
                                                             3.f, 2.5f, 1.2f, 5.f};

/// A batch as the loader gives it; rows from `valid` on hold garbage.
struct Batch {
  int size, valid, image;
  std::vector<std::uint8_t> pixels;  ///< [size, image, image, 3]
  std::vector<std::int32_t> label;   ///< [size]; some -1
  std::vector<float> va;             ///< [size, 2]
  std::vector<std::uint8_t> has_va;  ///< [size]; some 0
};

/// A function of its arguments. Images are waves whose direction and colour follow the class.
Batch make_batch(int size, int valid, int image, std::uint64_t seed);

/// The valid images as the network sees them: [valid, 3, image, image].
Tensor normalised(const Batch& batch, torch::Dtype type);

/// The label model on both sides: a Gaussian a class, alpha = 0.5.
math::TargetModel<float> label_model();
/// Eq. 1, 2 and 4 as they stand in the paper, in double: [valid, K].
Tensor fused_labels(const Batch& batch);

math::LossSettings loss_settings();

/// Fills the inputs of a plan, with no augmentation.
void upload(Plan& plan, const Batch& batch);

}  // namespace affuse::parity
