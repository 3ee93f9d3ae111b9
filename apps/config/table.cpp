// The table of configuration keys.
#include "apps/config/table.h"

#include <vector>

namespace affuse {
namespace {

using C = Config;

constexpr double kMaxSeed = 9007199254740991;  // 2^53 - 1: what every JSON reader keeps exactly

constexpr Limits any() { return {}; }
constexpr Limits from(double min, double max) { return {.min = min, .max = max}; }
constexpr Limits above(double min, double max) { return {.min = min, .max = max, .above = true}; }
constexpr Limits below(double min, double max) { return {.min = min, .max = max, .below = true}; }
constexpr Limits between(double min, double max) {
  return {.min = min, .max = max, .above = true, .below = true};
}
constexpr Limits steps(double step, double min, double max) {
  return {.min = min, .max = max, .step = step};
}

/// Rows that grow by one call a key.
struct Rows {
  std::vector<ConfigRow> all;
  template <auto... Members>
  void key(std::string_view path, const Limits& limits, std::string_view help,
           std::string_view word = {}) {
    all.push_back(config_row<Members...>(path, limits, help, word));
  }
};

void add_data(Rows& t) {
  constexpr auto D = &C::data;
  t.key<D, &C::Data::kind>(
      "data.kind", any(),
      "How the data set lies on disk: a CSV manifest, AffectNet-8's image and annotation folders, "
      "or synthetic faces, drawn into data.root where they are missing.");
  t.key<D, &C::Data::root>("data.root", any(),
                           "Folder that image paths are relative to; csv may leave it empty, which "
                           "takes the manifest's folder.");
  t.key<D, &C::Data::train>("data.train", any(), "Manifest of the training set (csv).");
  t.key<D, &C::Data::val>("data.val", any(),
                          "Manifest of the validation set (csv with data.split.by none).");
  t.key<D, &C::Data::classes>("data.classes", any(),
                              "Class names in the data set's own order, 2 to 32; required for csv, "
                              "AffectNet's eight where left empty otherwise.");
  t.key<D, &C::Data::image_size>("data.image_size", steps(32, 32, 1024),
                                 "Side in pixels that every face is resized to.");
  t.key<D, &C::Data::mean>(
      "data.mean", from(0, 1),
      "Mean of red, green and blue that is subtracted from pixels in [0, 1] (ImageNet's).");
  t.key<D, &C::Data::std>(
      "data.std", above(0, 10),
      "Standard deviation of red, green and blue that pixels are divided by (ImageNet's).");
  t.key<D, &C::Data::shuffle>("data.shuffle", any(),
                              "Draw a new order of the training samples each epoch.");
  t.key<D, &C::Data::workers>("data.workers", from(0, 256),
                              "Threads that decode images; 0 takes one a core.");
  t.key<D, &C::Data::prefetch>("data.prefetch", from(1, 64),
                               "Batches kept ready ahead of the trainer.");
  t.key<D, &C::Data::max_file_bytes>("data.max_file_bytes", from(1024, 2147483647),
                                     "An image file above this size counts as bad.");
  t.key<D, &C::Data::max_pixels>("data.max_pixels", from(1024, 268435456),
                                 "An image with more pixels counts as bad.");
  t.key<D, &C::Data::max_bad_fraction>("data.max_bad_fraction", from(0, 1),
                                       "Share of unreadable images above which a run stops; the "
                                       "others are left out and named in skipped.csv.");
  constexpr auto S = &C::Data::split;
  t.key<D, S, &C::Data::Split::by>(
      "data.split.by", any(),
      "Where validation samples come from: none = data.val, subject = whole subjects held out of "
      "data.train, split = data.train's split column.");
  t.key<D, S, &C::Data::Split::fraction>(
      "data.split.fraction", between(0, 1),
      "Share of the subjects that is held out, drawn with train.seed (split by subject).");
  constexpr auto Y = &C::Data::synthetic;
  t.key<D, Y, &C::Data::Synthetic::train>("data.synthetic.train", from(8, 10000000),
                                          "Number of training faces.");
  t.key<D, Y, &C::Data::Synthetic::val>("data.synthetic.val", from(8, 10000000),
                                        "Number of validation faces, the same for every class.");
  t.key<D, Y, &C::Data::Synthetic::size>("data.synthetic.size", from(16, 1024),
                                         "Side of a face in pixels.");
  t.key<D, Y, &C::Data::Synthetic::seed>(
      "data.synthetic.seed", from(0, kMaxSeed),
      "Seed of the faces; each is a pure function of seed and index.");
  t.key<D, Y, &C::Data::Synthetic::va_noise>(
      "data.synthetic.va_noise", from(0, 1),
      "Standard deviation of the annotators' noise on valence and on arousal.");
  t.key<D, Y, &C::Data::Synthetic::balance>(
      "data.synthetic.balance", from(0, 1),
      "Power on AffectNet's class counts: 1 is AffectNet's imbalance, 0 is balanced.");
}

void add_labels(Rows& t) {
  constexpr auto N = &C::noise;
  t.key<N, &C::Noise::rate>(
      "noise.rate", from(0, 1),
      "Share of the training labels that is flipped for experiments; validation labels stay.");
  t.key<N, &C::Noise::mode>("noise.mode", any(),
                            "exact_other: exactly round(rate N) samples to another class; "
                            "bernoulli_other: each with that probability; author: as the paper's "
                            "scripts, drawn with replacement, own class included.");
  t.key<N, &C::Noise::statistics>("noise.statistics", any(),
                                  "Whether class weights and label model see the flipped labels "
                                  "(noisy: all that a user would have) or those before (clean).");
  t.key<N, &C::Noise::seed>("noise.seed", from(0, kMaxSeed),
                            "Seed of the flips; auto takes train.seed.", "auto");
  constexpr auto L = &C::label_model;
  t.key<L, &C::LabelModel::kind>(
      "label_model.kind", any(),
      "Class distribution from valence and arousal: gmm (Eq. 1-2), euclid (Eq. 3), noise_aware (a "
      "mixture that models wrong labels), onehot (none), given (columns p_0.. of the manifest).");
  t.key<L, &C::LabelModel::trim>(
      "label_model.trim", above(0, 100),
      "Fit a class on its points within this many standard deviations; none takes all.", "none");
  t.key<L, &C::LabelModel::prior>(
      "label_model.prior", any(),
      "Class prior of the GMM posterior: the training set's shares or uniform.");
  t.key<L, &C::LabelModel::euclid_power>(
      "label_model.euclid_power", from(1, 2),
      "Power of the distance in Eq. 3: 2 as the paper's text, 1 as its author's code.");
  t.key<L, &C::LabelModel::components>("label_model.components", from(1, 8),
                                       "Gaussians a class of the noise-aware mixture.");
  t.key<L, &C::LabelModel::noise>(
      "label_model.noise", any(),
      "Label noise that the noise-aware mixture assumes: symmetric is one error rate for all "
      "classes, full a transition matrix, two thirds of it estimated and one third symmetric.");
  t.key<L, &C::LabelModel::max_rounds>("label_model.max_rounds", from(1, 100000),
                                       "Rounds after which EM of the noise-aware mixture stops.");
  t.key<L, &C::LabelModel::tolerance>("label_model.tolerance", between(0, 1),
                                      "Relative gain of the log likelihood below which EM stops.");
  t.key<&C::fusion, &C::Fusion::alpha>(
      "fusion.alpha", from(0, 1),
      "Share of the one-hot label in the fused label (Eq. 4); auto is 0.5, and 0 for noise_aware, "
      "whose posterior knows the annotated class.",
      "auto");
}

void add_augment(Rows& t) {
  constexpr auto A = &C::augment;
  t.key<A, &C::Augment::enabled>(
      "augment.enabled", any(),
      "Augment the training images; false switches every transform below off.");
  t.key<A, &C::Augment::flip>("augment.flip", from(0, 1), "Probability of a horizontal flip.");
  t.key<A, &C::Augment::degrees>("augment.degrees", from(0, 180),
                                 "Rotation, uniform in plus or minus this many degrees.");
  t.key<A, &C::Augment::translate>(
      "augment.translate", from(0, 1),
      "Shift along each axis, uniform in plus or minus this share of the side.");
  t.key<A, &C::Augment::scale>("augment.scale", above(0, 10), "Smallest and largest zoom factor.");
  t.key<A, &C::Augment::brightness>(
      "augment.brightness", from(0, 10),
      "Brightness factor, uniform in 1 plus or minus this, at least 0.");
  t.key<A, &C::Augment::contrast>("augment.contrast", from(0, 10),
                                  "Contrast factor, uniform in 1 plus or minus this, at least 0.");
  t.key<A, &C::Augment::saturation>(
      "augment.saturation", from(0, 10),
      "Saturation factor, uniform in 1 plus or minus this, at least 0.");
  t.key<A, &C::Augment::hue>(
      "augment.hue", from(0, 0.5),
      "Hue shift, uniform in plus or minus this share of the colour circle.");
  t.key<A, &C::Augment::mixup>(
      "augment.mixup", from(0, 100),
      "Parameter a of mixup: pairs of training images are blended with a share from Beta(a, a), "
      "and their losses likewise; 0 is off.");
  constexpr auto E = &C::Augment::erase;
  t.key<A, E, &C::Augment::Erase::p>("augment.erase.p", from(0, 1),
                                     "Probability that a random rectangle is erased.");
  t.key<A, E, &C::Augment::Erase::area>("augment.erase.area", above(0, 1),
                                        "Smallest and largest share of the image that is erased.");
  t.key<A, E, &C::Augment::Erase::ratio>("augment.erase.ratio", above(0, 100),
                                         "Smallest and largest aspect ratio of the rectangle.");
}

void add_network(Rows& t) {
  t.key<&C::model, &C::Model::width>("model.width", steps(0.25, 0.25, 4),
                                     "Factor on ResNet-18's channels (64 to 512).");
  t.key<&C::model, &C::Model::init>(
      "model.init", any(),
      "Weights to start from, a .safetensors file (ImageNet's resnet18 from torchvision, or an "
      "affuse run); empty starts at random.");
  t.key<&C::model, &C::Model::va_activation>("model.va_activation", any(),
                                             "Activation of the valence and arousal head.");
  constexpr auto L = &C::loss;
  t.key<L, &C::Loss::class_weights>(
      "loss.class_weights", any(),
      "Weights N_max / N_k (Eq. 5): by the sample's class, per_class inside the sum over classes, "
      "soft from the labels as trained on, or none.");
  t.key<L, &C::Loss::weighted_l2>("loss.weighted_l2", any(),
                                  "Class weights also in the valence and arousal loss (Eq. 8).");
  t.key<L, &C::Loss::ce>("loss.ce", from(0, 1000), "Coefficient of the cross entropy (Eq. 6).");
  t.key<L, &C::Loss::cs>("loss.cs", from(0, 1000),
                         "Coefficient of the cosine similarity loss (Eq. 7).");
  t.key<L, &C::Loss::l2>("loss.l2", from(0, 1000),
                         "Coefficient of the valence and arousal loss (Eq. 8).");
  t.key<L, &C::Loss::label_smoothing>("loss.label_smoothing", below(0, 1),
                                      "Share of the uniform distribution that is mixed into every "
                                      "label, fused or one-hot, last; also in the validation "
                                      "loss and in soft class weights.");
  t.key<L, &C::Loss::focal_gamma>(
      "loss.focal_gamma", from(0, 10),
      "Exponent of the focal loss: in Eq. 6 a class's log p is multiplied by (1 - p)^gamma; 0 is "
      "plain cross entropy.");
}

void add_optimizer(Rows& t) {
  constexpr auto O = &C::optimizer;
  t.key<O, &C::Optimizer::kind>("optimizer.kind", any(), "Optimiser.");
  t.key<O, &C::Optimizer::lr>("optimizer.lr", above(0, 10), "Learning rate.");
  t.key<O, &C::Optimizer::beta1>("optimizer.beta1", below(0, 1), "Decay of Adam's first moment.");
  t.key<O, &C::Optimizer::beta2>("optimizer.beta2", below(0, 1), "Decay of Adam's second moment.");
  t.key<O, &C::Optimizer::eps>("optimizer.eps", above(0, 1),
                               "Added to the root of Adam's second moment.");
  t.key<O, &C::Optimizer::weight_decay>(
      "optimizer.weight_decay", from(0, 1),
      "Weight decay; 1e-5 in the author's code, 0 in the paper's text.");
  t.key<O, &C::Optimizer::decoupled>(
      "optimizer.decoupled", any(),
      "Decay the weights themselves (AdamW) instead of adding the decay to the gradient (L2).");
  constexpr auto S = &C::schedule;
  t.key<S, &C::Schedule::kind>("schedule.kind", any(),
                               "Learning rate: step multiplies it by gamma every step_epochs, "
                               "cosine falls to min_lr at the end, constant stays.");
  t.key<S, &C::Schedule::step_epochs>("schedule.step_epochs", from(1, 100000),
                                      "Epochs between two steps (step).");
  t.key<S, &C::Schedule::gamma>("schedule.gamma", above(0, 1), "Factor of a step (step).");
  t.key<S, &C::Schedule::warmup_steps>(
      "schedule.warmup_steps", from(0, 10000000),
      "Steps over which the learning rate rises linearly to its value.");
  t.key<S, &C::Schedule::min_lr>("schedule.min_lr", from(0, 10),
                                 "Learning rate at the end of cosine.");
  constexpr auto W = &C::swa;
  t.key<W, &C::Swa::enabled>(
      "swa.enabled", any(),
      "Average the weights of the last epochs (stochastic weight averaging).");
  t.key<W, &C::Swa::start_epoch>("swa.start_epoch", from(1, 100000),
                                 "First epoch, counted from 1, whose final weights are averaged; "
                                 "auto starts after 75 % of the epochs.",
                                 "auto");
  t.key<W, &C::Swa::lr>(
      "swa.lr", above(0, 10),
      "Constant learning rate from swa.start_epoch on; none keeps the schedule's.", "none");
}

void add_train(Rows& t) {
  constexpr auto T = &C::train;
  t.key<T, &C::Train::epochs>("train.epochs", from(1, 100000), "Passes over the training set.");
  t.key<T, &C::Train::freeze_epochs>(
      "train.freeze_epochs", from(0, 100000),
      "First epochs that train the heads alone, on a backbone that stays as model.init gave it, "
      "batch norm's statistics included; Adam begins anew behind them. As many as train.epochs or "
      "more train the heads to the end.");
  t.key<T, &C::Train::batch_size>("train.batch_size", from(1, 65535),
                                  "Images a step, over all devices together.");
  t.key<T, &C::Train::precision>("train.precision", any(),
                                 "Arithmetic of the network; parameters and losses stay fp32. tf32 "
                                 "and fp16 need a CUDA device.");
  t.key<T, &C::Train::device>("train.device", any(),
                              "auto takes a CUDA device where there is one and says which.");
  t.key<T, &C::Train::seed>(
      "train.seed", from(0, kMaxSeed),
      "Seed of weights, order, augmentation and, unless set apart, label noise.");
  t.key<T, &C::Train::deterministic>(
      "train.deterministic", any(),
      "Take only algorithms that give the same bytes each time, also where they are slower.");
  t.key<T, &C::Train::patience>(
      "train.patience", from(0, 100000),
      "Stop after this many validations without a better macro-F1, counted from where the "
      "backbone trains; 0 never stops.");
  t.key<T, &C::Train::max_hours>("train.max_hours", from(0, 100000),
                                 "Stop with a checkpoint after this many hours; 0 sets no limit.");
  t.key<T, &C::Train::limit_batches>("train.limit_batches", from(0, 10000000),
                                     "Batches an epoch, for a quick look; 0 takes all.");
  t.key<T, &C::Train::val_every>("train.val_every", from(1, 100000),
                                 "Epochs between two validations; the last epoch always has one.");
  t.key<T, &C::Train::log_every>("train.log_every", from(1, 10000000),
                                 "Steps between two rows of steps.csv.");
  t.key<T, &C::Train::on_nonfinite>("train.on_nonfinite", any(),
                                    "What a loss that is not finite does: stop the run and name "
                                    "the batch, or skip the step and count it.");
  t.key<T, &C::Train::threads>("train.threads", from(0, 1024),
                               "Threads that compute on the CPU; 0 takes all cores.");
  t.key<T, &C::Train::workspace_mb>("train.workspace_mb", from(0, 1048576),
                                    "Largest scratch memory of a convolution in MiB.");
  t.key<T, &C::Train::select>("train.select", any(),
                              "Weights that the run ends with: those of the best validation "
                              "macro-F1, the last or the averaged ones.");
  t.key<&C::output, &C::Output::dir>("output.dir", any(), "Folder that run folders are made in.");
  t.key<&C::output, &C::Output::name>(
      "output.name", any(),
      "First part of the run folder's name; empty takes the configuration file's name.");
  t.key<&C::output, &C::Output::keep>("output.keep", from(0, 100000),
                                      "Keep the weights of every n-th epoch beside last, prev, "
                                      "best and swa; 0 keeps none of them.");
  t.key<&C::calibration, &C::Calibration::bins>("calibration.bins", from(2, 1000),
                                                "Bins of ECE, MCE and adaptive ECE.");
  t.key<&C::calibration, &C::Calibration::holdout>(
      "calibration.holdout", from(0, 0.5),
      "Share of the training samples that is kept from training and fits the temperature; 0 fits "
      "it on the samples that are measured.");
  t.key<&C::calibration, &C::Calibration::target>(
      "calibration.target", any(),
      "What the temperature makes likely of the held-out samples: annotated, the class as "
      "annotated, wrong ones included; corrected, the class as annotated, of which the noise-aware "
      "mixture's estimate are wrong; fused, the label that training sees. auto: corrected, or "
      "annotated where no valence and arousal is annotated.");
}

constexpr ConfigSection kSections[] = {
    {"data", "The data set and how it is read."},
    {"data.split", "How csv data are split into training and validation."},
    {"data.synthetic", "The synthetic faces (`affuse synth`)."},
    {"noise", "Label noise added on purpose, for experiments."},
    {"label_model", "The class distribution that valence and arousal imply."},
    {"fusion", "How annotated class and label model are fused."},
    {"augment", "Random changes of the training images, with torchvision's semantics."},
    {"augment.erase", "Random erasing, after normalisation."},
    {"model", "The network: ResNet-18 with a class head and a valence/arousal head."},
    {"loss", "The three loss terms and their weights."},
    {"optimizer", "The optimiser."},
    {"schedule", "The learning rate over time."},
    {"swa", "Stochastic weight averaging."},
    {"train", "The training loop and the machine."},
    {"output", "Where results go."},
    {"calibration", "Measures of calibration."},
};

std::vector<ConfigRow> make_rows() {
  Rows rows;
  for (const auto add :
       {add_data, add_labels, add_augment, add_network, add_optimizer, add_train}) {
    add(rows);
  }
  return rows.all;
}

}  // namespace

std::span<const ConfigRow> config_rows() {
  static const std::vector<ConfigRow> rows = make_rows();
  return rows;
}

std::span<const ConfigSection> config_sections() { return kSections; }

}  // namespace affuse
