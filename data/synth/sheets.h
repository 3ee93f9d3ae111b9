// Pictures that show at a glance what the synthetic faces do.
#pragma once
#include "data/synth/face.h"

namespace affuse {

/// A row a class, `columns` faces each, as a training set would hold them; options.size a tile.
Image contact_sheet(const SynthOptions& options, int columns = 12);

/// Each action unit (or telling pair) alone at intensity 1 on `identities` people, in two rows of
/// nine: none, 1, 2, 1+2, 4, 5, 6, 7, 9; then 12, 15, 16+25, 20+25, 23, 25, 26, 14R, 12R+14R.
Image au_sheet(const SynthOptions& options, int identities = 3);

/// A row a class, Neutral left out: one person from the origin to the rim of the circumplex along
/// the direction of the class's mean.
Image va_sweep_sheet(const SynthOptions& options, int columns = 8);

}  // namespace affuse
