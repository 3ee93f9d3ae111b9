// What one training step gets from the data.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/math/augment.h"

namespace affuse {

/// A batch of fixed size n; its first `valid` rows are samples, the rest is padding (images, va
/// and q zero, label -1, no augmentation). With several ranks it is one's share of a global batch.
/// Buffers keep their memory from batch to batch.
struct Batch {
  std::size_t n = 0;       ///< rows: the configured batch size over the ranks
  std::size_t valid = 0;   ///< samples among them, 1..n; 0 too with several ranks
  std::size_t all = 0;     ///< samples of the global batch
  std::size_t number = 0;  ///< place in the epoch, from 0
  int image_size = 0;      ///< h = w in pixels
  int classes = 0;         ///< K

  std::vector<std::uint32_t> indices;        ///< [valid] sample indices in the manifest
  std::vector<std::uint8_t> images;          ///< [n, h, w, 3] RGB
  std::vector<math::AugmentParams> augment;  ///< [n]
  std::vector<std::int32_t> labels;          ///< [n] annotated class, -1: absent
  std::vector<float> va;                     ///< [n, 2] valence, arousal; 0 where absent
  std::vector<std::uint8_t> has_va;          ///< [n] 1: both are annotated
  std::vector<float> q;                      ///< [n, K] soft target; 0 without a table of targets
};

}  // namespace affuse
