// One annotated face and a whole annotated set.
#pragma once
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace affuse {

/// An annotated image. Absent annotations: label = -1, valence and arousal = NaN, soft empty.
struct Sample {
  std::string path;  ///< as the user wrote it, relative to Manifest::root
  int label = -1;    ///< class index, or -1
  double valence = std::numeric_limits<double>::quiet_NaN();  ///< in [-1, 1], or NaN
  double arousal = std::numeric_limits<double>::quiet_NaN();  ///< in [-1, 1], or NaN
  std::string subject;                                        ///< empty when the set names none
  std::vector<float> soft;  ///< given class distribution (columns p_0..), or empty

  bool has_va() const { return std::isfinite(valence) && std::isfinite(arousal); }
  bool has_label() const { return label >= 0; }
};

/// The samples of one split, in the manifest's order.
struct Manifest {
  std::string root;                  ///< folder that the paths are relative to
  std::vector<std::string> classes;  ///< class names in the data set's own order
  std::vector<Sample> samples;

  std::string full_path(const Sample& s) const {
    return s.path.starts_with('/') || root.empty() ? s.path : root + "/" + s.path;
  }
};

}  // namespace affuse
