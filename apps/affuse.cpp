// The program: arguments to options, options to a command, errors to one line and a status.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "apps/cli.h"
#include "apps/commands/labels.h"
#include "apps/config/label_options.h"
#include "apps/config/load.h"
#include "apps/output.h"
#include "apps/terminal.h"
#include "engine/error.h"
#include "engine/text.h"

namespace affuse {
namespace {

constexpr int kFailed = 1;
constexpr int kUnusable = 2;

int show(const std::string& text) {
  write_out(text);
  return 0;
}

/// A manifest alone, a configuration alone, or a manifest under a configuration's label model.
std::string labels(const LabelsArguments& arguments) {
  LabelsOptions options;
  options.manifest_csv = arguments.manifest;
  options.out_dir = arguments.out;
  options.classes = arguments.classes;
  if (arguments.config.empty()) return run_labels(options);
  const Config config = load_config(arguments.config, arguments.overrides);
  if (arguments.manifest.empty()) return run_labels(config, arguments.out);
  options.class_names = config.data.classes;
  options.model = label_model_options(config);
  options.alpha = config.fusion.alpha;
  return run_labels(options);
}

/// The table of commands; one that is forgotten does not compile.
struct Run {
  int operator()(const ShowText& o) const { return show(o.text); }
  int operator()(const SynthArguments& o) const { return run_synth(o); }
  int operator()(const LabelsArguments& o) const { return show(labels(o)); }
  int operator()(const TrainOptions& o) const { return run_train(o); }
  int operator()(const EvalOptions& o) const { return run_eval(o); }
  int operator()(const MetricsOptions& o) const { return show(run_metrics(o)); }
  int operator()(const PredictOptions& o) const { return run_predict(o); }
  int operator()(const InfoOptions& o) const { return run_info(o); }
};

// A file's name, which many messages hold, may be of any bytes.
int complain(const char* what, int status) {
  std::fprintf(stderr, "affuse: %s\n", one_line(what).c_str());
  return status;
}

int run(const std::vector<std::string>& arguments) {
  try {
    const CommandLine line = parse_command_line(arguments);
    start_terminal(detect_terminal(line.quiet));
    const int status = std::visit(Run{}, line.command);
    flush_out();  // a full disk may show itself only here; results that were lost are a failure
    return status;
  } catch (const ConfigError& e) {
    return complain(e.what(), kUnusable);
  } catch (const std::bad_alloc&) {
    return complain("out of memory; lower train.batch_size or data.prefetch", kFailed);
  } catch (const std::exception& e) {
    return complain(e.what(), kFailed);
  }
}

}  // namespace
}  // namespace affuse

int main(int argc, char** argv) {
  affuse::secure_streams();
  return affuse::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
