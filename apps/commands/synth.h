// `affuse synth`: draws the synthetic faces into a folder.
#pragma once
#include <array>
#include <string>
#include <string_view>

#include "apps/config/config.h"

namespace affuse {

struct SynthArguments {
  enum class Layout { affectnet_npy, csv };
  std::string out;  ///< folder, made if missing
  Config::Data::Synthetic faces;
  Layout layout = Layout::affectnet_npy;
};
constexpr auto choice_names(SynthArguments::Layout) {
  return std::to_array<std::string_view>({"affectnet_npy", "csv"});
}

/// Returns the exit status; failures are thrown.
int run_synth(const SynthArguments& options);

}  // namespace affuse
