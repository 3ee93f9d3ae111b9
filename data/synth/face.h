// Synthetic faces with a known class and VA. They test the mechanism on any machine; no result on
// them is a claim about real faces.
#pragma once
#include <cstdint>

#include "data/image.h"
#include "data/synth/face_params.h"

namespace affuse {

/// What a synthetic face depends on besides its index and class.
struct SynthOptions {
  std::uint64_t seed = 1;
  int size = 64;         ///< width and height in pixels, 8 to 4096
  double va_noise = .1;  ///< annotators' standard deviation on valence and on arousal
};

/// A face with its class, the VA it shows and the VA that is annotated.
struct SynthFace {
  Image image;
  int label = 0;
  Va true_va, annotated_va;
};

/// What is known about face `index` before it is painted; image is empty.
SynthFace synth_annotation(const SynthOptions& options, std::uint32_t index, int label);

/// Face `index` of the set `options.seed`: a pure function of its arguments.
/// Throws ConfigError for a class, size or noise out of range.
SynthFace synth_face(const SynthOptions& options, std::uint32_t index, int label);

namespace synth {

/// Paints a face, size x size pixels, size in [8, 4096].
Image render(const FaceParams& params, int size);

}  // namespace synth
}  // namespace affuse
