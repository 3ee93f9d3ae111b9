// Open values resolved, and keys checked against each other.
#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "apps/config/json_text.h"
#include "apps/config/load.h"
#include "engine/error.h"

namespace affuse {
namespace {

using Kind = Config::Data::Kind;

constexpr std::array kAffectNet = {"Neutral", "Happy",   "Sad",   "Surprise",
                                   "Fear",    "Disgust", "Anger", "Contempt"};

/// First epoch, from 1, that lies wholly after 75 % of the epochs.
int default_swa_start(int epochs) { return epochs * 3 / 4 + 1; }

[[noreturn]] void fail(std::string_view path, const std::string& what) {
  throw ConfigError(fmt::format("{}: {}", path, what));
}

void check_data(const Config::Data& data) {
  using By = Config::Data::Split::By;
  if (data.kind == Kind::csv) {
    if (data.train.empty()) {
      fail("data.train", "empty, but data.kind csv needs it; name the training manifest");
    }
    if (data.split.by == By::none && data.val.empty()) {
      fail("data.val",
           "empty, but data.kind csv needs it; name the validation manifest or set "
           "data.split.by to subject or split");
    }
    if (data.split.by != By::none && !data.val.empty()) {
      fail("data.val", fmt::format("given although data.split.by is {}; remove one of them",
                                   name_of(data.split.by)));
    }
    if (data.classes.empty()) {
      fail("data.classes",
           "empty, but data.kind csv needs it; name the classes in the set's order");
    }
    return;
  }
  const std::string_view kind = name_of(data.kind);
  if (data.root.empty()) {
    fail("data.root",
         fmt::format("empty, but data.kind {} needs it; name the folder of the data set", kind));
  }
  if (!data.train.empty() || !data.val.empty()) {
    fail(data.train.empty() ? "data.val" : "data.train",
         fmt::format("given, but data.kind {} reads data.root; remove it or set data.kind to csv",
                     kind));
  }
  if (data.split.by != By::none) {
    fail("data.split.by", fmt::format("{} needs data.kind csv; set it to none ({} has its own "
                                      "validation set)",
                                      name_of(data.split.by), kind));
  }
}

void check_classes(const Config::Data& data) {
  const std::size_t n = data.classes.size();
  if (n < 2) fail("data.classes", fmt::format("{} class; name at least 2", n));
  std::set<std::string> seen;
  for (const std::string& name : data.classes) {
    if (name.empty()) fail("data.classes", "an empty name; name every class");
    if (!seen.insert(name).second) {
      fail("data.classes", fmt::format("{} stands twice; name every class once", shown(name)));
    }
  }
  if (data.kind == Kind::synthetic && n != 8) {
    fail("data.classes", fmt::format("{} names, but the synthetic faces have 8 classes; leave "
                                     "data.classes out or name 8",
                                     n));
  }
  if (data.kind == Kind::affectnet_npy && n != 7 && n != 8) {
    fail("data.classes", fmt::format("{} names, but AffectNet has 8 classes (7 without Contempt); "
                                     "leave data.classes out or name 7 or 8",
                                     n));
  }
}

void check_order(std::string_view path, const std::array<double, 2>& range) {
  if (range[0] > range[1]) {
    fail(path,
         fmt::format("[{}, {}] runs downwards; put the smaller number first", range[0], range[1]));
  }
}

void check_training(const Config& config) {
  if (config.loss.ce + config.loss.cs + config.loss.l2 <= 0) {
    fail("loss.ce", "every loss coefficient is 0; give one of loss.ce, loss.cs, loss.l2 above 0");
  }
  if (config.schedule.min_lr > config.optimizer.lr) {
    fail("schedule.min_lr", fmt::format("{} is above optimizer.lr {}; lower it",
                                        config.schedule.min_lr, config.optimizer.lr));
  }
  if (config.swa.enabled && *config.swa.start_epoch > config.train.epochs) {
    fail("swa.start_epoch",
         fmt::format("{} is after the last of {} epochs; give 1 to {} or "
                     "\"auto\"",
                     *config.swa.start_epoch, config.train.epochs, config.train.epochs));
  }
  if (config.swa.enabled && *config.swa.start_epoch <= config.train.freeze_epochs) {
    fail("swa.start_epoch",
         fmt::format("{} is among the {} frozen epochs; give a later one, freeze fewer "
                     "(train.freeze_epochs) or set swa.enabled to false",
                     *config.swa.start_epoch, config.train.freeze_epochs));
  }
  if (config.augment.mixup_in_use() > 0 && config.train.batch_size < 2) {
    fail("augment.mixup",
         fmt::format("{} blends pairs, but train.batch_size is 1; raise it to 2 or set "
                     "augment.mixup to 0",
                     config.augment.mixup));
  }
  using Train = Config::Train;
  if (config.train.select == Train::Select::swa && !config.swa.enabled) {
    fail("train.select", "swa needs averaged weights; set swa.enabled to true");
  }
  if (config.train.device == Train::Device::cpu &&
      (config.train.precision == Train::Precision::tf32 ||
       config.train.precision == Train::Precision::fp16)) {
    fail("train.precision", fmt::format("{} needs a CUDA device; set it to fp32 or bf16, or "
                                        "train.device to cuda",
                                        name_of(config.train.precision)));
  }
}

void check_output(const Config::Output& output) {
  if (output.dir.empty()) fail("output.dir", "empty; name a folder, \".\" is the current one");
  if (output.name.find('/') != std::string::npos || output.name == "." || output.name == "..") {
    fail("output.name",
         fmt::format("{} is no plain name; set output.dir for another folder", shown(output.name)));
  }
}

}  // namespace

Config resolve(Config config) {
  if (!config.noise.seed) config.noise.seed = config.train.seed;
  if (!config.fusion.alpha) {
    // The noise-aware posterior has seen the annotated class already.
    const bool aware = config.label_model.kind == Config::LabelModel::Kind::noise_aware;
    config.fusion.alpha = aware ? 0.0 : 0.5;
  }
  if (!config.swa.start_epoch) config.swa.start_epoch = default_swa_start(config.train.epochs);
  if (config.data.classes.empty() && config.data.kind != Kind::csv) {
    config.data.classes.assign(kAffectNet.begin(), kAffectNet.end());
  }
  return config;
}

void check_config(const Config& config) {
  check_data(config.data);
  check_classes(config.data);
  check_order("augment.scale", config.augment.scale);
  check_order("augment.erase.area", config.augment.erase.area);
  check_order("augment.erase.ratio", config.augment.erase.ratio);
  check_training(config);
  check_output(config.output);
  if (config.data.kind == Kind::synthetic) {  // the only set whose size is known here
    const std::int64_t batch = config.train.batch_size;
    check_warmup(config, (config.data.synthetic.train + batch - 1) / batch);
  }
}

void check_warmup(const Config& config, std::int64_t steps_per_epoch) {
  if (config.train.limit_batches > 0) {
    steps_per_epoch = std::min<std::int64_t>(steps_per_epoch, config.train.limit_batches);
  }
  const std::int64_t total = steps_per_epoch * config.train.epochs;
  if (config.schedule.warmup_steps <= total) return;
  fail("schedule.warmup_steps",
       fmt::format("{} is more than the {} steps of the run; lower it or raise train.epochs",
                   config.schedule.warmup_steps, total));
}

Config continue_config(const Config& run, const Config& next) {
  Config out = next;
  if (run.swa.start_epoch == default_swa_start(run.train.epochs) &&
      next.swa.start_epoch == default_swa_start(next.train.epochs)) {
    out.swa.start_epoch = run.swa.start_epoch;
  }
  return out;
}

}  // namespace affuse
