// Cuts the flat gradient buffer into the slices that several ranks sum while backward runs.
#pragma once
#include <cstddef>
#include <optional>
#include <vector>

#include "kernels/backend.h"

namespace affuse {

/// Backward completes parameters roughly from the buffer's end to its start. A slice is taken as
/// soon as everything above some offset is complete and makes up the wanted size.
class GradientSlices {
 public:
  /// Floats. A slice of `count` >= `least` ends where a parameter begins; padding is part of it.
  struct Slice {
    std::size_t offset, count;
  };

  /// 8 MiB: large enough that latency does not count, small enough that most of the sum runs
  /// beside backward.
  static constexpr std::size_t kLeast = std::size_t{2} << 20;

  /// Of the buffer from `begin` (floats, where a parameter begins) to its end.
  explicit GradientSlices(const ParameterLayout& layout, std::size_t least = kLeast,
                          std::size_t begin = 0);

  /// The gradient of `id` is computed.
  void complete(ParamId id);
  /// The next slice to sum, or nothing yet. `all`: backward is over, whatever is left.
  std::optional<Slice> take(bool all);

 private:
  struct Part {
    std::size_t offset;
    ParamId id;
  };
  std::size_t least_, end_;
  std::vector<Part> parts_;  ///< trained parameters not yet taken, by offset
  std::vector<bool> done_;   ///< by parameter
};

}  // namespace affuse
