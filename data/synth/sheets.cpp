// Contact sheet, action-unit sheet and VA sweep.
#include "data/synth/sheets.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace affuse {
namespace {

/// Tiles of one size side by side.
class Sheet {
 public:
  Sheet(int columns, int rows, int tile) : tile_(tile), image_{columns * tile, rows * tile, {}} {
    image_.rgb.resize(3 * static_cast<std::size_t>(image_.width) *
                      static_cast<std::size_t>(image_.height));
  }
  void place(int column, int row, const Image& tile) {
    const int bytes = 3 * tile_;
    for (int y = 0; y < tile_; ++y) {
      const std::size_t to =
          3 * (static_cast<std::size_t>(row * tile_ + y) * static_cast<std::size_t>(image_.width) +
               static_cast<std::size_t>(column * tile_));
      std::copy_n(tile.rgb.data() + static_cast<std::ptrdiff_t>(y) * bytes, bytes,
                  image_.rgb.data() + to);
    }
  }
  Image take() { return std::move(image_); }

 private:
  int tile_;
  Image image_;
};

const std::vector<std::vector<Au>> kShown = {
    {},      {kAu1},  {kAu2},           {kAu1, kAu2},    {kAu4},         {kAu5},         {kAu6},
    {kAu7},  {kAu9},  {kAu12l, kAu12r}, {kAu15},         {kAu16, kAu25}, {kAu20, kAu25}, {kAu23},
    {kAu25}, {kAu26}, {kAu14r},         {kAu12r, kAu14r}};

synth::FaceParams person(const SynthOptions& options, int index) {
  return synth::studio(synth::draw_face(options.seed, static_cast<std::uint32_t>(index), 0, {}));
}

}  // namespace

Image contact_sheet(const SynthOptions& options, int columns) {
  Sheet sheet(columns, kAffectNetClasses, options.size);
  for (int label = 0; label < kAffectNetClasses; ++label)
    for (int c = 0; c < columns; ++c) {
      const auto index = static_cast<std::uint32_t>(label * columns + c);
      sheet.place(c, label, synth_face(options, index, label).image);
    }
  return sheet.take();
}

Image au_sheet(const SynthOptions& options, int identities) {
  constexpr int kColumns = 9;
  Sheet sheet(kColumns, 2 * identities, options.size);
  for (int i = 0; i < identities; ++i) {
    synth::FaceParams params = person(options, i);
    for (std::size_t k = 0; k < kShown.size(); ++k) {
      params.au = {};
      for (Au au : kShown[k]) params.au[au] = 1;
      const int at = static_cast<int>(k);
      sheet.place(at % kColumns, 2 * i + at / kColumns, synth::render(params, options.size));
    }
  }
  return sheet.take();
}

Image va_sweep_sheet(const SynthOptions& options, int columns) {
  Sheet sheet(columns, kAffectNetClasses - 1, options.size);
  synth::FaceParams params = person(options, 0);
  for (int label = 1; label < kAffectNetClasses; ++label) {
    const VaMoments& m = affectnet_va_moments(label);
    const double length = std::hypot(m.mean_v, m.mean_a);
    for (int c = 0; c < columns; ++c) {
      const double radius = c / std::max(columns - 1., 1.) / length;
      params.au = action_units(label, {m.mean_v * radius, m.mean_a * radius});
      sheet.place(c, label - 1, synth::render(params, options.size));
    }
  }
  return sheet.take();
}

}  // namespace affuse
