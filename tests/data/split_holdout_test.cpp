// The held-out part of a training set as a property over seeds, shares and sizes.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "data/split.h"
#include "engine/philox.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

using Indices = std::vector<std::size_t>;

std::size_t with_class(const std::vector<int>& labels, const Indices& part) {
  return static_cast<std::size_t>(
      std::count_if(part.begin(), part.end(), [&](std::size_t i) { return labels[i] >= 0; }));
}

std::map<int, std::size_t> counts(const std::vector<int>& labels, const Indices& part) {
  std::map<int, std::size_t> out;
  for (const std::size_t i : part) ++out[labels[i]];
  return out;
}

/// Labels -1..classes-1, unevenly; class `classes` occurs once.
std::vector<int> uneven_labels(int n, int classes, std::uint64_t seed) {
  Philox draw(seed, Purpose::test);
  std::vector<int> labels{classes};
  for (int i = 1; i < n; ++i)
    labels.push_back(static_cast<int>(std::floor(std::pow(draw.uniform(), 2) * (classes + 1))) - 1);
  return labels;
}

void expect_a_partition(const SplitIndices& split, std::size_t n) {
  EXPECT_TRUE(std::ranges::is_sorted(split.train) && std::ranges::is_sorted(split.val));
  Indices all = split.train;
  all.insert(all.end(), split.val.begin(), split.val.end());
  std::ranges::sort(all);
  ASSERT_EQ(all.size(), n);
  for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(all[i], i);
}

void expect_every_class_trains(const std::vector<int>& labels, const SplitIndices& split) {
  auto trained = counts(labels, split.train);
  for (const auto& [label, n] : counts(labels, split.val)) EXPECT_GT(trained[label], 0u) << label;
}

TEST(SplitHoldout, TakesOfEachClassItsPart) {
  for (const int n : {3, 10, 97, 1000})
    for (const double share : {.05, .2, 1. / 3, .5})
      for (std::uint64_t seed = 0; seed < 10; ++seed) {
        const auto labels = uneven_labels(n, 5, seed);
        const std::vector<std::string> nobody(labels.size());
        const SplitIndices split = split_holdout(labels, nobody, share, seed);
        expect_a_partition(split, labels.size());
        expect_every_class_trains(labels, split);
        auto of = counts(labels, split.train), held = counts(labels, split.val);
        EXPECT_EQ(held[-1], 0u) << "a sample without a class fits no temperature";
        EXPECT_EQ(held[5], 0u) << "the only sample of its class";
        double pool = 0;
        for (int k = 0; k < 5; ++k)
          if (const auto size = of[k] + held[k]; size > 1) pool += static_cast<double>(size);
        const double labelled =
            static_cast<double>(std::ranges::count_if(labels, [](int l) { return l >= 0; }));
        const double wanted = std::min(std::round(share * labelled), std::floor(pool / 2));
        EXPECT_EQ(static_cast<double>(split.val.size()), wanted);
        for (int k = 0; k < 5; ++k) {
          const auto size = static_cast<double>(of[k] + held[k]);
          if (size > 1) {
            EXPECT_LT(std::abs(static_cast<double>(held[k]) - wanted / pool * size), 1);
          }
        }
      }
}

TEST(SplitHoldout, HoldsOutWholeSubjects) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto labels = uneven_labels(400, 5, seed);
    Philox draw(seed, Purpose::test, 1);
    std::vector<std::string> subjects;
    for (std::size_t i = 0; i < labels.size(); ++i)
      subjects.push_back(i % 10 == 9 ? "" : "s" + std::to_string(draw.below(60)));
    const SplitIndices split = split_holdout(labels, subjects, .2, seed);
    expect_a_partition(split, labels.size());
    expect_every_class_trains(labels, split);
    std::set<std::string> held;
    for (const std::size_t i : split.val) held.insert(subjects[i]);
    held.erase("");
    EXPECT_GT(held.size(), 1u);
    for (const std::size_t i : split.train) EXPECT_FALSE(held.contains(subjects[i]));
    Indices all = split.train;
    all.insert(all.end(), split.val.begin(), split.val.end());
    const double wanted = std::round(.2 * static_cast<double>(with_class(labels, all)));
    std::map<std::string, double> sizes;
    double largest = 1;
    for (const std::size_t i : all)
      if (labels[i] >= 0 && !subjects[i].empty()) largest = std::max(largest, ++sizes[subjects[i]]);
    EXPECT_LE(std::abs(static_cast<double>(with_class(labels, split.val)) - wanted), largest / 2)
        << "a subject more or less would be no nearer";
  }
}

TEST(SplitHoldout, AFunctionOfTheSeedAndOfTheSetOfSubjects) {
  std::vector<int> labels;
  std::vector<std::string> subjects, nobody(300);
  for (int i = 0; i < 300; ++i) {
    labels.push_back(i % 4);
    subjects.push_back("s" + std::to_string(i / 10));
  }
  for (const auto* who : {&subjects, &nobody}) {
    EXPECT_EQ(split_holdout(labels, *who, .1, 7).val, split_holdout(labels, *who, .1, 7).val);
    EXPECT_NE(split_holdout(labels, *who, .1, 7).val, split_holdout(labels, *who, .1, 8).val);
  }
  const auto names = [&](const std::vector<std::string>& who, const Indices& val) {
    std::set<std::string> out;
    for (const std::size_t i : val) out.insert(who[i]);
    return out;
  };
  const auto held = names(subjects, split_holdout(labels, subjects, .1, 7).val);
  std::ranges::reverse(subjects);
  std::ranges::reverse(labels);
  EXPECT_EQ(names(subjects, split_holdout(labels, subjects, .1, 7).val), held);
}

TEST(SplitHoldout, EverySampleIsDrawnEquallyOften) {
  const std::vector<int> labels{0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
  std::vector<int> times(10);
  for (std::uint64_t seed = 0; seed < 4000; ++seed)
    for (const std::size_t i : split_holdout(labels, std::vector<std::string>(10), .5, seed).val)
      ++times[i];
  for (const int t : times) EXPECT_NEAR(t, 2000, 5 * 31.6);  // Binomial(4000, 0.5): std 31.6
}

TEST(SplitHoldout, EmptyWhereNothingCanBeSpared) {
  const std::vector<std::string> nobody(4), one(4, "anna");
  EXPECT_TRUE(split_holdout({-1, -1, -1, -1}, nobody, .5, 1).val.empty()) << "no class";
  EXPECT_TRUE(split_holdout({0, 1, 2, 3}, nobody, .5, 1).val.empty()) << "one of each";
  EXPECT_TRUE(split_holdout({0, 0, 1, 1}, one, .5, 1).val.empty()) << "one subject";
  EXPECT_TRUE(split_holdout({0, 0, 1, 1}, nobody, .1, 1).val.empty()) << "rounds to none";
  EXPECT_TRUE(split_holdout({}, {}, .5, 1).val.empty());
  const std::vector<std::string> two{"anna", "anna", "ben", "ben"};
  EXPECT_TRUE(split_holdout({0, 0, 1, 1}, two, .5, 1).val.empty()) << "each is a class's only face";
  const SplitIndices half = split_holdout({0, 1, 0, 1}, two, .5, 1);
  EXPECT_EQ(half.val.size(), 2u);
  EXPECT_EQ(
      split_holdout({0, 1, 0, 1, -1}, {"anna", "anna", "ben", "ben", "anna"}, .5, 1).val.size() +
          split_holdout({0, 1, 0, 1, -1}, {"anna", "anna", "ben", "ben", "ben"}, .5, 1).val.size(),
      5u)
      << "a face without a class goes with its subject";
}

}  // namespace
}  // namespace affuse
