// From an affect to a face: how a class and a point of the circumplex move the action units of
// FACS (Ekman and Friesen), and how that point is drawn.
#pragma once
#include <array>
#include <cstddef>

#include "data/affectnet.h"
#include "engine/philox.h"

namespace affuse {

/// Facial action units; l and r are the sides of the image.
enum Au : std::size_t {
  kAu1,    ///< inner brow raiser
  kAu2,    ///< outer brow raiser
  kAu4,    ///< brow lowerer
  kAu5,    ///< upper lid raiser
  kAu6,    ///< cheek raiser
  kAu7,    ///< lid tightener
  kAu9,    ///< nose wrinkler
  kAu12l,  ///< lip corner puller
  kAu12r,
  kAu14l,  ///< dimpler
  kAu14r,
  kAu15,  ///< lip corner depressor
  kAu16,  ///< lower lip depressor
  kAu20,  ///< lip stretcher
  kAu23,  ///< lip tightener
  kAu25,  ///< lips part
  kAu26,  ///< jaw drop
  kAuCount
};

/// Intensity of each action unit: 0 at rest, 1 the full displacement, up to about 1.5.
using AuVector = std::array<float, kAuCount>;

/// A point of class `label`: from its three Gaussians, clipped to the unit disc.
Va draw_va(int label, Philox& random);

/// The point as an annotator gives it: plus N(0, noise) on both axes, clipped to the unit disc.
Va annotate_va(Va true_va, double noise, Philox& random);

/// Strength of an expression at distance |va| from neutral:
/// clip((|va| - 0.06) / 0.80, 0, 1.1)^0.85; 0 near the origin, 1.08 at the rim.
double expression_intensity(Va va);

/// The mean face of a class at a VA point: its action units, blended a quarter with those of the
/// classes that are likely at this point, times the intensity; plus cues that follow valence and
/// arousal whatever the class. Contempt smirks on the right.
AuVector action_units(int label, Va va);

/// One person's version: overall strength, jitter and drop-outs per unit, stray movement, and the
/// sides of a one-sided movement swapped with probability one half.
AuVector vary_action_units(AuVector mean, Philox& random);

}  // namespace affuse
