// Writes a set of synthetic faces as files, so that the real readers read it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/synth/face.h"

namespace affuse {

enum class SynthLayout {
  affectnet_npy,  ///< {train,val}_set/{images/N.jpg, annotations/N_{exp,val,aro}.npy}
  csv,            ///< {train,val}.csv: path,class,valence,arousal; images/{train,val}/N.jpg
};

struct SynthSetOptions {
  SynthOptions face;
  int train = 12000, val = 2000;  ///< faces a split, at least 1
  double balance = .5;            ///< power on AffectNet's counts for training: 1 as is, 0 balanced
  SynthLayout layout = SynthLayout::affectnet_npy;
  int jpeg_quality = 95;
  int threads = 0;         ///< 0: one a processor
  bool overwrite = false;  ///< replace an earlier set in the folder
};

/// Index of the first validation face: both splits of a seed may grow without meeting.
inline constexpr std::uint32_t kSynthValidationIndex = 0x80000000u;

/// n faces shared out in proportion to AffectNet's training counts to the power `balance`, by
/// largest remainders; they sum to n.
std::vector<int> synth_class_counts(int n, double balance);

/// Class of each face of a split, in shuffled order; face i has index i (training) or
/// kSynthValidationIndex + i (validation, which is balanced).
std::vector<int> synth_train_labels(const SynthSetOptions& options);
std::vector<int> synth_val_labels(const SynthSetOptions& options);

/// Told now and then, from one thread at a time; what it throws ends the writing.
using SynthProgress = std::function<void(std::size_t done, std::size_t total)>;

/// Draws the set into `out_dir`.tmp, which becomes `out_dir` when all of it is written; after a
/// failure nothing is left. The bytes do not depend on the number of threads.
/// Throws ConfigError for options out of range or an `out_dir` that is not empty (with `overwrite`:
/// that holds anything but such a set), Error naming the file and the reason when writing fails.
void write_synthetic(const SynthSetOptions& options, const std::string& out_dir,
                     const SynthProgress& progress = {});

}  // namespace affuse
