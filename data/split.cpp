// The seeded draws of validation subjects and of held-out training samples.
#include "data/split.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_set>
#include <utility>

#include "engine/error.h"
#include "engine/philox.h"

namespace affuse {
namespace {

/// Puts `count` items, drawn without replacement, in front.
template <class T>
void draw_to_front(std::vector<T>& items, std::size_t count, Philox& random) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto left = static_cast<std::uint32_t>(items.size() - i);
    std::swap(items[i], items[i + random.below(left)]);
  }
}

template <class T>
void shuffle(std::vector<T>& items, Philox& random) {
  draw_to_front(items, items.empty() ? 0 : items.size() - 1, random);
}

/// N_k of the classes that occur.
std::map<int, std::size_t> class_counts(const std::vector<int>& labels) {
  std::map<int, std::size_t> counts;
  for (const int label : labels)
    if (label >= 0) ++counts[label];
  return counts;
}

/// In shuffled order sorted by class every n/m-th sample is taken: m of n, of each class its part.
/// With m <= n/2 a class of two or more keeps one; the only sample of a class stays out of this.
std::vector<std::size_t> draw_samples(const std::vector<int>& labels, std::size_t wanted,
                                      Philox& random) {
  auto counts = class_counts(labels);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= 0 && counts[labels[i]] > 1) order.push_back(i);
  shuffle(order, random);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return labels[a] < labels[b]; });
  const std::size_t n = order.size(), m = std::min(wanted, n / 2);
  std::vector<std::size_t> taken;
  for (std::size_t j = 0; j < n; ++j)
    if ((j + 1) * m / n > j * m / n) taken.push_back(order[j]);
  return taken;
}

/// The samples of each subject, in the subjects' order; then those without a subject, each alone.
std::vector<std::vector<std::size_t>> subject_groups(const std::vector<std::string>& subjects) {
  std::map<std::string, std::vector<std::size_t>> named;
  std::vector<std::vector<std::size_t>> groups, alone;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    if (subjects[i].empty())
      alone.push_back({i});
    else
      named[subjects[i]].push_back(i);
  }
  for (auto& [name, samples] : named) groups.push_back(std::move(samples));
  groups.insert(groups.end(), alone.begin(), alone.end());
  return groups;
}

std::vector<std::size_t> draw_subjects(const std::vector<int>& labels,
                                       const std::vector<std::string>& subjects, std::size_t wanted,
                                       Philox& random) {
  auto left = class_counts(labels);
  auto groups = subject_groups(subjects);
  shuffle(groups, random);
  std::vector<std::size_t> taken;
  std::size_t with_class = 0;
  for (const auto& group : groups) {
    std::vector<int> own;
    for (const std::size_t i : group) own.push_back(labels[i]);
    const auto lost = class_counts(own);
    std::size_t size = 0;
    for (const auto& [label, n] : lost) size += n;
    const bool nearer = with_class < wanted && size < 2 * (wanted - with_class);
    const bool spared = std::all_of(lost.begin(), lost.end(),
                                    [&](const auto& l) { return l.second < left.at(l.first); });
    if (size == 0 || !nearer || !spared) continue;
    for (const auto& [label, n] : lost) left[label] -= n;
    taken.insert(taken.end(), group.begin(), group.end());
    with_class += size;
  }
  return taken;
}

}  // namespace

SplitIndices split_by_subject(const std::vector<std::string>& subject_of_sample,
                              double val_fraction, std::uint64_t seed) {
  if (!(val_fraction > 0 && val_fraction < 1)) {
    throw DataError("the share of validation subjects must lie in (0, 1)");
  }
  std::vector<std::string> subjects = subject_of_sample;
  std::sort(subjects.begin(), subjects.end());
  subjects.erase(std::unique(subjects.begin(), subjects.end()), subjects.end());
  if (subjects.size() < 2) throw DataError("a split by subject needs at least 2 subjects");

  const double wanted = std::round(val_fraction * static_cast<double>(subjects.size()));
  const auto drawn =
      std::clamp<std::size_t>(static_cast<std::size_t>(wanted), 1, subjects.size() - 1);
  Philox random(seed, Purpose::split);
  draw_to_front(subjects, drawn, random);
  const std::unordered_set<std::string> validating(
      subjects.begin(), subjects.begin() + static_cast<std::ptrdiff_t>(drawn));

  SplitIndices split;
  for (std::size_t i = 0; i < subject_of_sample.size(); ++i) {
    (validating.contains(subject_of_sample[i]) ? split.val : split.train).push_back(i);
  }
  return split;
}

SplitIndices split_holdout(const std::vector<int>& labels,
                           const std::vector<std::string>& subject_of_sample, double share,
                           std::uint64_t seed) {
  const auto with_class = std::count_if(labels.begin(), labels.end(), [](int l) { return l >= 0; });
  const auto wanted =
      static_cast<std::size_t>(std::llround(share * static_cast<double>(with_class)));
  const bool any_subject = std::any_of(subject_of_sample.begin(), subject_of_sample.end(),
                                       [](const std::string& s) { return !s.empty(); });
  Philox random(seed, Purpose::holdout);
  SplitIndices split;
  split.val = any_subject ? draw_subjects(labels, subject_of_sample, wanted, random)
                          : draw_samples(labels, wanted, random);
  std::sort(split.val.begin(), split.val.end());
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (!std::binary_search(split.val.begin(), split.val.end(), i)) split.train.push_back(i);
  return split;
}

}  // namespace affuse
