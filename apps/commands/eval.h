// `affuse eval`: measures of trained weights on a data set.
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "apps/config/choices.h"

namespace affuse {

struct EvalOptions {
  enum class Split { val, train };
  std::string path;                    ///< run folder or weights file
  std::string config;                  ///< file; empty: the run's own
  std::vector<std::string> overrides;  ///< key.path=value
  Split split = Split::val;
  std::string out;  ///< predictions file; empty: predictions.csv in the run folder, else none
  bool json = false;
  bool quiet = false;
};
constexpr auto choice_names(EvalOptions::Split) {
  return std::to_array<std::string_view>({"val", "train"});
}

/// Returns the exit status; failures are thrown.
int run_eval(const EvalOptions& options);

}  // namespace affuse
