// The configuration of a run as plain structs. The initialisers are the defaults; table.cpp gives
// every key its path, range and help.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/config/choices.h"

namespace affuse {

struct Config {
  struct Data {
    enum class Kind { csv, affectnet_npy, synthetic };
    struct Split {
      enum class By { none, subject, split };
      By by = By::none;
      double fraction = 0.2;  ///< of the subjects, held out
      bool operator==(const Split&) const = default;
    };
    struct Synthetic {
      int train = 6000, val = 1600;  ///< faces
      int size = 64;                 ///< pixels
      std::uint64_t seed = 1;
      double va_noise = 0.1;  ///< std of the annotators' noise, a VA axis
      double balance = 0.5;   ///< power on AffectNet's class counts
      bool operator==(const Synthetic&) const = default;
    };
    Kind kind = Kind::csv;
    std::string root, train, val;
    std::vector<std::string> classes;
    int image_size = 64;  ///< pixels, a multiple of 32
    std::array<double, 3> mean{0.485, 0.456, 0.406}, std{0.229, 0.224, 0.225};
    bool shuffle = true;
    int workers = 0;   ///< decoding threads; 0: one a core
    int prefetch = 4;  ///< batches
    std::int64_t max_file_bytes = std::int64_t{64} << 20;
    std::int64_t max_pixels = std::int64_t{64} << 20;
    double max_bad_fraction = 0.01;
    Split split;
    Synthetic synthetic;
    bool operator==(const Data&) const = default;
  };
  struct Noise {
    enum class Mode { exact_other, bernoulli_other, author };
    enum class Statistics { noisy, clean };
    double rate = 0;
    Mode mode = Mode::exact_other;
    Statistics statistics = Statistics::noisy;
    std::optional<std::uint64_t> seed;  ///< nullopt before resolve(): train.seed
    bool operator==(const Noise&) const = default;
  };
  struct LabelModel {
    enum class Kind { gmm, euclid, onehot, noise_aware, given };
    enum class Prior { empirical, uniform };
    enum class Transition { symmetric, full };
    Kind kind = Kind::gmm;
    std::optional<double> trim = 1.0;  ///< stds; nullopt: no trimming
    Prior prior = Prior::empirical;
    int euclid_power = 2;
    int components = 3;
    Transition noise = Transition::symmetric;
    int max_rounds = 200;
    double tolerance = 1e-6;
    bool operator==(const LabelModel&) const = default;
  };
  struct Fusion {
    std::optional<double> alpha;  ///< Eq. 4; nullopt before resolve(): 0.5, noise_aware 0
    bool operator==(const Fusion&) const = default;
  };
  struct Augment {
    struct Erase {
      double p = 0.5;
      std::array<double, 2> area{0.02, 0.25}, ratio{0.3, 3.3};
      bool operator==(const Erase&) const = default;
    };
    bool enabled = true;
    double flip = 0.5;
    double degrees = 30;
    double translate = 0.1;
    std::array<double, 2> scale{1.0, 1.25};
    double brightness = 0.5, contrast = 0.5, saturation = 0, hue = 0;
    double mixup = 0;  ///< parameter of Beta(a, a); 0: off
    Erase erase;
    /// The parameter that training mixes with: 0 with every transform off.
    double mixup_in_use() const { return enabled ? mixup : 0; }
    bool operator==(const Augment&) const = default;
  };
  struct Model {
    enum class VaActivation { tanh, none };
    double width = 1;  ///< times 64 channels, a multiple of 1/4 (16 channels)
    std::string init;  ///< a .safetensors file; empty: random
    VaActivation va_activation = VaActivation::tanh;
    bool operator==(const Model&) const = default;
  };
  struct Loss {
    enum class ClassWeights { sample, per_class, soft, none };
    ClassWeights class_weights = ClassWeights::sample;
    bool weighted_l2 = true;
    double ce = 1, cs = 1, l2 = 1;
    double label_smoothing = 0;
    double focal_gamma = 0;
    bool operator==(const Loss&) const = default;
  };
  struct Optimizer {
    enum class Kind { adam };
    Kind kind = Kind::adam;
    double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
    bool decoupled = false;
    bool operator==(const Optimizer&) const = default;
  };
  struct Schedule {
    enum class Kind { step, cosine, constant };
    Kind kind = Kind::step;
    int step_epochs = 30;
    double gamma = 0.5;
    int warmup_steps = 0;
    double min_lr = 0;
    bool operator==(const Schedule&) const = default;
  };
  struct Swa {
    bool enabled = false;
    std::optional<int> start_epoch;  ///< from 1; nullopt before resolve(): after 75 % of the epochs
    std::optional<double> lr;        ///< nullopt: the schedule's
    bool operator==(const Swa&) const = default;
  };
  struct Train {
    enum class Precision { fp32, tf32, bf16, fp16 };
    enum class Device { automatic, cuda, cpu };
    enum class OnNonfinite { stop, skip };
    enum class Select { best_macro_f1, last, swa };
    int epochs = 50;
    int freeze_epochs = 0;  ///< the first epochs, which train the heads alone
    int batch_size = 64;
    Precision precision = Precision::fp32;
    Device device = Device::automatic;
    std::uint64_t seed = 1;
    bool deterministic = false;
    int patience = 0;       ///< validations without gain; 0: off
    double max_hours = 0;   ///< 0: no limit
    int limit_batches = 0;  ///< an epoch; 0: all
    int val_every = 1;      ///< epochs
    int log_every = 50;     ///< steps
    OnNonfinite on_nonfinite = OnNonfinite::stop;
    int threads = 0;  ///< 0: all cores
    int workspace_mb = 256;
    Select select = Select::best_macro_f1;
    bool operator==(const Train&) const = default;
  };
  struct Output {
    std::string dir = "runs";
    std::string name;  ///< empty: the configuration file's
    int keep = 0;      ///< keep the weights of every n-th epoch; 0: none of them
    bool operator==(const Output&) const = default;
  };
  struct Calibration {
    int bins = 15;
    enum class Target { automatic, annotated, corrected, fused };
    double holdout = 0;  ///< share of the training samples that the temperature is fitted on
    Target target = Target::automatic;  ///< corrected where VA is annotated
    bool operator==(const Calibration&) const = default;
  };

  Data data;
  Noise noise;
  LabelModel label_model;
  Fusion fusion;
  Augment augment;
  Model model;
  Loss loss;
  Optimizer optimizer;
  Schedule schedule;
  Swa swa;
  Train train;
  Output output;
  Calibration calibration;
  bool operator==(const Config&) const = default;
};

constexpr auto choice_names(Config::Data::Kind) {
  return std::to_array<std::string_view>({"csv", "affectnet_npy", "synthetic"});
}
constexpr auto choice_names(Config::Data::Split::By) {
  return std::to_array<std::string_view>({"none", "subject", "split"});
}
constexpr auto choice_names(Config::Noise::Mode) {
  return std::to_array<std::string_view>({"exact_other", "bernoulli_other", "author"});
}
constexpr auto choice_names(Config::Noise::Statistics) {
  return std::to_array<std::string_view>({"noisy", "clean"});
}
constexpr auto choice_names(Config::LabelModel::Kind) {
  return std::to_array<std::string_view>({"gmm", "euclid", "onehot", "noise_aware", "given"});
}
constexpr auto choice_names(Config::LabelModel::Prior) {
  return std::to_array<std::string_view>({"empirical", "uniform"});
}
constexpr auto choice_names(Config::LabelModel::Transition) {
  return std::to_array<std::string_view>({"symmetric", "full"});
}
constexpr auto choice_names(Config::Model::VaActivation) {
  return std::to_array<std::string_view>({"tanh", "none"});
}
constexpr auto choice_names(Config::Loss::ClassWeights) {
  return std::to_array<std::string_view>({"sample", "per_class", "soft", "none"});
}
constexpr auto choice_names(Config::Optimizer::Kind) {
  return std::to_array<std::string_view>({"adam"});
}
constexpr auto choice_names(Config::Schedule::Kind) {
  return std::to_array<std::string_view>({"step", "cosine", "constant"});
}
constexpr auto choice_names(Config::Train::Precision) {
  return std::to_array<std::string_view>({"fp32", "tf32", "bf16", "fp16"});
}
constexpr auto choice_names(Config::Train::Device) {
  return std::to_array<std::string_view>({"auto", "cuda", "cpu"});
}
constexpr auto choice_names(Config::Train::OnNonfinite) {
  return std::to_array<std::string_view>({"stop", "skip"});
}
constexpr auto choice_names(Config::Calibration::Target) {
  return std::to_array<std::string_view>({"auto", "annotated", "corrected", "fused"});
}
constexpr auto choice_names(Config::Train::Select) {
  return std::to_array<std::string_view>({"best_macro_f1", "last", "swa"});
}

}  // namespace affuse
