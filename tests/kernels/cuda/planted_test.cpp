// Planted bugs: each must be caught by the builds that can, and its right variant pass everywhere.
// A bug is caught by an error of the emulation, by a wrong result in some order, or by a
// sanitizer's report.
#include <cstdlib>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "engine/error.h"
#include "tests/kernels/cuda/emulated.h"
#include "tests/kernels/cuda/planted/barriers.h"
#include "tests/kernels/cuda/planted/blocks.h"
#include "tests/kernels/cuda/planted/memory.h"
#include "tests/kernels/cuda/planted/warps.h"

namespace affuse {
namespace {

namespace planted = AFFUSE_CUDA_NAMESPACE::planted;

enum class Caught { nothing, error, wrong, report };
enum class Build { plain, asan, tsan };

#if defined(__SANITIZE_ADDRESS__)
constexpr Build build = Build::asan;
#elif defined(__SANITIZE_THREAD__)
constexpr Build build = Build::tsan;
#else
constexpr Build build = Build::plain;
#endif

struct PlantedBug {
  const char* name;
  bool (*buggy)();
  bool (*right)();
  Caught plain;                ///< by every build, unless a sanitizer reports it
  const char* text = "";       ///< in the error
  const char* asan = nullptr;  ///< in the report of ASan or UBSan
  const char* tsan = nullptr;  ///< in the report of TSan

  const char* report() const {
    return build == Build::asan ? asan : build == Build::tsan ? tsan : nullptr;
  }
  Caught caught() const { return report() != nullptr ? Caught::report : plain; }
};

PlantedBug error(const char* name, bool (*buggy)(), bool (*right)(), const char* text) {
  return {name, buggy, right, Caught::error, text};
}
PlantedBug wrong(const char* name, bool (*buggy)(), bool (*right)()) {
  return {name, buggy, right, Caught::wrong};
}
PlantedBug race(const char* name, bool (*buggy)(), bool (*right)(), Caught plain) {
  return {name, buggy, right, plain, "", nullptr, "data race"};
}
PlantedBug address(const char* name, bool (*buggy)(), bool (*right)(), const char* report) {
  return {name, buggy, right, Caught::nothing, "", report};
}

std::vector<PlantedBug> planted_bugs() {
  using namespace planted;
  const char* heap = "heap-buffer-overflow";
  return {
      race("MissingBarrier", missing_barrier<true>, missing_barrier<false>, Caught::wrong),
      race("MissingSecondBarrier", missing_second_barrier<true>, missing_second_barrier<false>,
           Caught::wrong),
      error("DivergentBarrier", divergent_barrier<true>, divergent_barrier<false>,
            "branch_kernel ... different barriers ... barriers.h:"),
      error("EarlyReturn", early_return<true>, early_return<false>,
            "guarded_kernel ... not reached by all threads ... 14 thread(s) from thread 50 on have "
            "returned ... barriers.h:"),
      error("BarrierInUnevenLoop", barrier_in_uneven_loop<true>, barrier_in_uneven_loop<false>,
            "loop_kernel ... not reached by all threads ... barriers.h:"),
      wrong("UninitialisedShared", uninitialised_shared<true>, uninitialised_shared<false>),
      error("TooMuchShared", too_much_shared<true>, too_much_shared<false>,
            "large_kernel ... too much shared memory: 50176 bytes"),
      error("WrongMask", wrong_mask<true>, wrong_mask<false>,
            "half_warps_kernel ... is not in its own mask ... warps.h:"),
      error("FullMaskInABranch", full_mask_in_a_branch<true>, full_mask_in_a_branch<false>,
            "absent_lanes_kernel ... wait for each other ... mask 0xffffffff ... warps.h:"),
      error("InactiveLane", inactive_lane<true>, inactive_lane<false>,
            "inactive_lane_kernel ... shuffles from inactive lane 20 ... warps.h:"),
      race("MissingSyncwarp", missing_syncwarp<true>, missing_syncwarp<false>, Caught::wrong),
      race("MissingAtomic", missing_atomic<true>, missing_atomic<false>, Caught::nothing),
      race("MissingAtomicInBlock", missing_atomic_in_block<true>, missing_atomic_in_block<false>,
           Caught::nothing),
      race("MissingThreadfence", missing_threadfence<true>, missing_threadfence<false>,
           Caught::nothing),
      race("OverlappingBlocks", overlapping_blocks<true>, overlapping_blocks<false>, Caught::wrong),
      race("TrustedBlockOrder", trusted_block_order<true>, trusted_block_order<false>,
           Caught::wrong),
      error("TooManyThreads", too_many_threads<true>, too_many_threads<false>,
            "ones_kernel ... invalid launch configuration ... 2048"),
      error("TooMuchDynamicShared", too_much_dynamic_shared<true>, too_much_dynamic_shared<false>,
            "ones_kernel ... invalid launch configuration ... 66560 bytes"),
      address("ReadPastTheEnd", read_past_the_end<true>, read_past_the_end<false>, heap),
      address("WritePastShared", write_past_shared<true>, write_past_shared<false>, heap),
      address("PastDynamicShared", past_dynamic_shared<true>, past_dynamic_shared<false>, heap),
      address("MisalignedPack", misaligned_pack<true>, misaligned_pack<false>,
              "misaligned address"),
      address("IndexOverflow", index_overflow<true>, index_overflow<false>,
              "signed integer overflow"),
      address("PastALocalArray", past_a_local_array<true>, past_a_local_array<false>,
              "index 4 out of bounds"),
      address("ShiftByTheWidth", shift_by_the_width<true>, shift_by_the_width<false>,
              "shift exponent 32"),
  };
}

void PrintTo(const PlantedBug& bug, std::ostream* out) { *out << bug.name; }

std::vector<PlantedBug> caught_here() {
  std::vector<PlantedBug> out;
  for (const PlantedBug& bug : planted_bugs())
    if (bug.caught() != Caught::nothing) out.push_back(bug);
  return out;
}

std::string name_of_case(const testing::TestParamInfo<PlantedBug>& info) { return info.param.name; }

/// Whether `text` has the parts of "a ... b ... c" one after the other.
bool has_in_order(std::string_view text, std::string_view parts) {
  constexpr std::string_view gap = " ... ";
  for (;;) {
    const std::string_view part = parts.substr(0, parts.find(gap));
    const std::size_t at = text.find(part);
    if (at == text.npos) return false;
    if (part.size() == parts.size()) return true;
    text.remove_prefix(at + part.size());
    parts.remove_prefix(part.size() + gap.size());
  }
}

/// Whether the result is right in every order.
bool right_in_every_order(bool (*kernel)()) {
  bool right = true;
  for_each_order([&] { right = kernel() && right; });
  return right;
}

class PlantedBugDeathTest : public testing::TestWithParam<PlantedBug> {};

TEST_P(PlantedBugDeathTest, IsCaught) {
  const PlantedBug& bug = GetParam();
  switch (bug.caught()) {
    case Caught::wrong:
      EXPECT_FALSE(right_in_every_order(bug.buggy));
      break;
    case Caught::error:
      for_each_order([&] {
        try {
          bug.buggy();
          ADD_FAILURE() << "no error";
        } catch (const DeviceError& e) {
          EXPECT_TRUE(has_in_order(e.what(), bug.text)) << e.what();
        }
      });
      break;
    case Caught::report:
      // In a process of its own: this program again, which runs nothing but this statement.
      GTEST_FLAG_SET(death_test_style, "threadsafe");
      EXPECT_EXIT(
          {
            right_in_every_order(bug.buggy);
            std::exit(0);
          },
          [](int) { return true; }, bug.report());
      break;
    case Caught::nothing:
      FAIL() << "not among the cases";
  }
}

INSTANTIATE_TEST_SUITE_P(All, PlantedBugDeathTest, testing::ValuesIn(caught_here()), name_of_case);

class PlantedBugTest : public testing::TestWithParam<PlantedBug> {};

// A sanitizer's report here fails the program.
TEST_P(PlantedBugTest, RightVariantPasses) { EXPECT_TRUE(right_in_every_order(GetParam().right)); }

INSTANTIATE_TEST_SUITE_P(All, PlantedBugTest, testing::ValuesIn(planted_bugs()), name_of_case);

}  // namespace
}  // namespace affuse
