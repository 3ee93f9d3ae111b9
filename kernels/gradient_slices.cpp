#include "kernels/gradient_slices.h"

#include <algorithm>

namespace affuse {

GradientSlices::GradientSlices(const ParameterLayout& layout, std::size_t least, std::size_t begin)
    : least_(least), end_(layout.weights), done_(layout.slots.size(), false) {
  for (std::size_t i = 0; i < layout.slots.size(); ++i)
    if (!layout.slots[i].running && layout.slots[i].offset >= begin)
      parts_.push_back({layout.slots[i].offset, static_cast<ParamId>(i)});
  std::sort(parts_.begin(), parts_.end(),
            [](const Part& a, const Part& b) { return a.offset < b.offset; });
}

void GradientSlices::complete(ParamId id) { done_[static_cast<std::size_t>(id)] = true; }

std::optional<GradientSlices::Slice> GradientSlices::take(bool all) {
  auto first = parts_.end();
  while (first != parts_.begin() && done_[static_cast<std::size_t>(std::prev(first)->id)]) --first;
  if (all) first = parts_.begin();
  if (first == parts_.end()) return {};
  const std::size_t offset = first->offset;
  if (!all && end_ - offset < least_) return {};
  const Slice slice{offset, end_ - offset};
  parts_.erase(first, parts_.end());
  end_ = offset;
  return slice;
}

}  // namespace affuse
