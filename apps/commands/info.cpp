// `affuse info`: devices, versions and, for a configuration, the program and its memory.
#include "apps/commands/info.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/device_file.h"
#include "apps/output.h"
#include "apps/program_text.h"
#include "apps/trainer/model_io.h"
#include "apps/trainer/setup.h"
#include "engine/error.h"

namespace affuse {
namespace {

constexpr std::size_t kMemoryRows = 12;
constexpr int kDefaultClasses = 8;
constexpr double kMebi = 1048576;

std::string device_text(const DeviceInfo& info) {
  std::string text = fmt::format("affuse {}\n{}: {}\n      {}\n", AFFUSE_VERSION, info.name,
                                 info.hardware, info.libraries);
  if (!info.precision_note.empty()) text += "      " + info.precision_note + "\n";
  return text;
}

std::string cuda_text() {
  try {
    return device_text(make_cuda_backend(0)->info());
  } catch (const DeviceError& e) {
    return fmt::format("cuda: {}\n", e.what());
  }
}

// Bytes of the parameter store: weights, gradients, two moments and the average, a 16-bit copy
// where the precision has one, two sets of running statistics.
double parameter_bytes(const ParameterLayout& layout, const LowerSpec& spec) {
  const bool copy = spec.precision == Precision::bf16 || spec.precision == Precision::fp16;
  return static_cast<double>(layout.weights) * (5 * 4 + (copy ? 2 : 0)) +
         static_cast<double>(layout.running) * 2 * 4;
}

std::string parameters_text(const Graph& graph, const ParameterLayout& layout,
                            const LowerSpec& spec) {
  std::int64_t count = 0;
  for (const Param& p : graph.params())
    if (p.trainable()) count += p.shape.count();
  return fmt::format(
      "parameters: {:.2f} M trained; {:.1f} MiB for weights, gradients, two moments and the "
      "average, and any 16-bit copy\n",
      static_cast<double>(count) / 1e6, parameter_bytes(layout, spec) / kMebi);
}

Ceilings ceilings_of(const DescribedDevice& d, Precision precision) {
  const double flops = precision == Precision::fp16   ? d.fp16_flops
                       : precision == Precision::bf16 ? d.bf16_flops
                       : precision == Precision::tf32 ? d.tf32_flops
                                                      : d.fp32_flops;
  return {d.bytes_per_second, flops};
}

// Whether the run fits the described GPU: the plans share the largest one's arena.
std::string fit_text(const DescribedDevice& device, double arena, double parameters) {
  // A context, its libraries' modules and the display take about this much of any GPU.
  constexpr double kContext = 600 * kMebi;
  const double need = arena + parameters + kContext, have = static_cast<double>(device.memory);
  const std::string verdict =
      need <= have ? fmt::format("fits, {:.0f} MiB to spare", (have - need) / kMebi)
                   : fmt::format("does not fit by {:.0f} MiB", (need - have) / kMebi);
  return fmt::format(
      "memory: {:.0f} MiB of arena and workspaces, {:.0f} MiB of parameters, about {:.0f} MiB for "
      "CUDA itself: {:.0f} MiB of the device's {:.0f}; {}\n",
      arena / kMebi, parameters / kMebi, kContext / kMebi, need / kMebi, have / kMebi, verdict);
}

}  // namespace

int run_info(const InfoOptions& options) {
  if (options.config.empty()) {
    write_out(device_text(make_cpu_backend(0)->info()) + cuda_text());
    return 0;
  }
  const Config config = load_config(options.config, options.overrides);
  std::optional<DescribedDevice> planned;
  if (!options.plan_for.empty()) planned = described_device(options.plan_for);
  const auto backend = planned ? make_planning_backend(*planned) : open_backend(config);
  const int classes =
      config.data.classes.empty() ? kDefaultClasses : static_cast<int>(config.data.classes.size());
  const Graph graph = training_graph(network_spec(config, classes), adam_of(config.optimizer));
  LowerSpec spec = lower_spec(config);
  const ParameterLayout layout = backend->layout(graph, spec);
  std::optional<Ceilings> ceilings;
  if (planned && planned->bytes_per_second > 0) ceilings = ceilings_of(*planned, spec.precision);
  std::string text = device_text(backend->info());
  text += fmt::format("batch {}, {}x{} pixels, {}\n", spec.batch, config.data.image_size,
                      config.data.image_size, name_of(spec.precision));
  text += parameters_text(graph, layout, spec);
  double arena = 0;
  std::vector<Mode> modes = {Mode::train, Mode::eval};
  if (config.train.freeze_epochs > 0) modes.insert(modes.begin(), Mode::heads);
  for (const Mode mode : modes) {
    spec.mode = mode;
    const Program program = backend->lower(graph, spec, layout, nullptr);
    const ArenaPlan plan = place(program);
    arena = std::max(arena, static_cast<double>(plan.bytes));
    text += "\n" + program_text(program, ceilings);
    if (ceilings)
      text +=
          fmt::format("      at most {:.0f} images/s\n", spec.batch / floor_of(program, *ceilings));
    text += "\n" + memory_text(program, plan, kMemoryRows);
  }
  if (planned) text += "\n" + fit_text(*planned, arena, parameter_bytes(layout, spec));
  write_out(text);
  return 0;
}

}  // namespace affuse
