// The split by subject as a property over seeds and sizes.
#include "data/split.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "engine/error.h"
#include "gtest/gtest.h"

namespace affuse {
namespace {

std::vector<std::string> subjects_of(int samples, int subjects) {
  std::vector<std::string> out;
  for (int i = 0; i < samples; ++i) out.push_back("s" + std::to_string((i * 7) % subjects));
  return out;
}

std::set<std::string> side(const std::vector<std::string>& subjects,
                           const std::vector<std::size_t>& indices) {
  std::set<std::string> out;
  for (const std::size_t i : indices) out.insert(subjects[i]);
  return out;
}

TEST(Split, EveryIndexOnceAndEverySubjectOnOneSide) {
  for (const int count : {2, 3, 10, 101}) {
    const auto subjects = subjects_of(500, count);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const SplitIndices split = split_by_subject(subjects, 0.2, seed);
      EXPECT_TRUE(std::ranges::is_sorted(split.train) && std::ranges::is_sorted(split.val));
      std::set<std::size_t> all(split.train.begin(), split.train.end());
      all.insert(split.val.begin(), split.val.end());
      EXPECT_EQ(all.size(), 500u);
      EXPECT_EQ(split.train.size() + split.val.size(), 500u);
      const auto train = side(subjects, split.train), val = side(subjects, split.val);
      for (const std::string& s : val) EXPECT_FALSE(train.contains(s));
      EXPECT_EQ(val.size(), count < 8 ? 1u : static_cast<std::size_t>(count / 5));
    }
  }
}

TEST(Split, DependsOnTheSetOfSubjectsOnly) {
  auto subjects = subjects_of(300, 30);
  const auto val = side(subjects, split_by_subject(subjects, 0.2, 5).val);
  std::ranges::reverse(subjects);
  subjects.push_back(subjects.front());
  EXPECT_EQ(side(subjects, split_by_subject(subjects, 0.2, 5).val), val);
  EXPECT_NE(side(subjects, split_by_subject(subjects, 0.2, 6).val), val);
}

TEST(Split, EverySubjectIsDrawnEquallyOften) {
  const auto subjects = subjects_of(10, 10);
  std::vector<int> times(10);
  constexpr int rounds = 4000;
  for (std::uint64_t seed = 0; seed < rounds; ++seed) {
    for (const std::size_t i : split_by_subject(subjects, 0.2, seed).val) ++times[i];
  }
  // Binomial(4000, 0.2): mean 800, std 25.3.
  for (const int t : times) EXPECT_NEAR(t, 800, 5 * 25.3);
}

TEST(Split, RefusesWhatCannotBeSplit) {
  EXPECT_THROW(split_by_subject({}, 0.2, 0), DataError);
  EXPECT_THROW(split_by_subject({"a", "a"}, 0.2, 0), DataError);
  for (const double share : {0.0, 1.0, -1.0, 2.0, std::nan("")}) {
    EXPECT_THROW(split_by_subject({"a", "b"}, share, 0), DataError);
  }
}

}  // namespace
}  // namespace affuse
