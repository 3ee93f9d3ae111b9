// `affuse info`: devices, versions and, for a configuration, the program and its memory.
#include "apps/commands/info.h"

#include <iterator>

#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/output.h"
#include "apps/program_text.h"
#include "apps/trainer/model_io.h"
#include "apps/trainer/setup.h"
#include "engine/error.h"

namespace affuse {
namespace {

constexpr std::size_t kMemoryRows = 12;
constexpr int kDefaultClasses = 8;

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

std::string parameters_text(const Graph& graph, const ParameterLayout& layout,
                            const LowerSpec& spec) {
  std::int64_t count = 0;
  for (const Param& p : graph.params())
    if (p.trainable()) count += p.shape.count();
  const bool copy = spec.precision == Precision::bf16 || spec.precision == Precision::fp16;
  const double bytes = static_cast<double>(layout.weights) * (5 * 4 + (copy ? 2 : 0)) +
                       static_cast<double>(layout.running) * 2 * 4;
  return fmt::format(
      "parameters: {:.2f} M trained; {:.1f} MiB for weights, gradients, two moments "
      "and the average{}\n",
      static_cast<double>(count) / 1e6, bytes / 1048576.0, copy ? ", and a 16-bit copy" : "");
}

}  // namespace

int run_info(const InfoOptions& options) {
  if (options.config.empty()) {
    write_out(device_text(make_cpu_backend(0)->info()) + cuda_text());
    return 0;
  }
  const Config config = load_config(options.config, options.overrides);
  const auto backend = open_backend(config);
  const int classes =
      config.data.classes.empty() ? kDefaultClasses : static_cast<int>(config.data.classes.size());
  const Graph graph = training_graph(network_spec(config, classes), adam_of(config.optimizer));
  LowerSpec spec = lower_spec(config);
  const ParameterLayout layout = backend->layout(graph, spec);
  std::string text = device_text(backend->info());
  text += fmt::format("batch {}, {}x{} pixels, {}\n", spec.batch, config.data.image_size,
                      config.data.image_size, name_of(spec.precision));
  text += parameters_text(graph, layout, spec);
  for (const Mode mode : {Mode::train, Mode::eval}) {
    spec.mode = mode;
    const Program program = backend->lower(graph, spec, layout, nullptr);
    text += "\n" + program_text(program) + "\n" + memory_text(program, place(program), kMemoryRows);
  }
  write_out(text);
  return 0;
}

}  // namespace affuse
