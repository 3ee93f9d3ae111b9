// `affuse synth`: draws the synthetic faces into a folder.
#include "apps/commands/synth.h"

#include <fmt/format.h>

#include "apps/terminal.h"
#include "apps/trainer/dataset.h"
#include "engine/log.h"

namespace affuse {

int run_synth(const SynthArguments& options) {
  const int total = options.faces.train + options.faces.val;
  Progress bar("drawing faces", total, "faces");
  draw_synthetic_set(options.faces, options.layout == SynthArguments::Layout::csv, options.out, 0,
                     [&](const char*, std::size_t done, std::size_t) {
                       bar.update(static_cast<std::int64_t>(done));
                     });
  bar.finish();
  log_info(fmt::format("{}: {} training and {} validation faces, {}x{} pixels", options.out,
                       options.faces.train, options.faces.val, options.faces.size,
                       options.faces.size));
  return 0;
}

}  // namespace affuse
