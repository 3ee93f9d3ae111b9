// Two ranks beside one process that does their work by hand: each half of the batch through a
// model of its own, gradients averaged by their samples, Adam in double.
#include <cmath>
#include <cstdio>
#include <numeric>

#include "apps/config/load.h"
#include "apps/trainer/evaluate.h"
#include "apps/trainer/schedule.h"
#include "apps/trainer/setup.h"
#include "apps/trainer/trainer.h"
#include "tests/apps/run_ranks.h"
#include "weights/checkpoint.h"

namespace affuse::test {
namespace {

constexpr std::size_t kRanks = 2;

template <class T>
std::vector<T> rows(const std::vector<T>& from, std::size_t begin, std::size_t end, std::size_t all,
                    std::size_t capacity) {
  const std::size_t width = from.size() / all;
  std::vector<T> out(from.begin() + static_cast<std::ptrdiff_t>(begin * width),
                     from.begin() + static_cast<std::ptrdiff_t>(end * width));
  out.resize(capacity * width);
  return out;
}

/// Rows of a batch as a batch of half its size.
Batch part(const Batch& b, std::size_t begin, std::size_t end) {
  Batch out = b;
  out.n = b.n / kRanks;
  out.valid = end - begin;
  out.images = rows(b.images, begin, end, b.n, out.n);
  out.augment = rows(b.augment, begin, end, b.n, out.n);
  out.labels = rows(b.labels, begin, end, b.n, out.n);
  out.va = rows(b.va, begin, end, b.n, out.n);
  out.has_va = rows(b.has_va, begin, end, b.n, out.n);
  out.q = rows(b.q, begin, end, b.n, out.n);
  return out;
}

struct AdamByHand {
  Config::Optimizer o;
  std::vector<double> m, v;

  void update(std::vector<float>& w, const std::vector<double>& gradient, std::int64_t t,
              double lr) {
    m.resize(w.size());
    v.resize(w.size());
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double weight = double{w[i]};
      const double g = gradient[i] + (o.decoupled ? 0 : o.weight_decay * weight);
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
      const double step =
          m[i] / (1 - std::pow(o.beta1, static_cast<double>(t))) /
          (std::sqrt(v[i] / (1 - std::pow(o.beta2, static_cast<double>(t)))) + o.eps);
      w[i] =
          static_cast<float>(weight - lr * step - (o.decoupled ? lr * o.weight_decay * weight : 0));
    }
  }
};

/// The by-hand training of a configuration.
class Reference {
 public:
  explicit Reference(Config config)
      : config_(std::move(config)),
        splits_(open_splits(config_, "", {})),
        labels_(prepare_labels(config_, splits_.train.manifest)),
        loader_(splits_.train.manifest, loader_options(config_, splits_.train, true)) {
    for (std::size_t r = 0; r < kRanks; ++r) {
      models_.push_back(build_training_model(make_cpu_backend(1), config_, 8, nullptr, kRanks));
      models_[r]->bind(external::label_model, &labels_.target, sizeof labels_.target);
      models_[r]->bind(external::loss_settings, &labels_.loss, sizeof labels_.loss);
    }
    adam_.resize(model().graph().params().size(), AdamByHand{config_.optimizer, {}, {}});
  }

  Model& model() { return *models_[0]; }
  const std::vector<double>& losses() const { return losses_; }

  void run() {
    const Schedule schedule(config_, static_cast<std::int64_t>(loader_.batches()));
    Batch batch;
    for (int epoch = 0; epoch < config_.train.epochs; ++epoch) {
      loader_.start_epoch(static_cast<std::uint32_t>(epoch));
      while (loader_.next(batch)) step(batch, schedule.rate(steps_));
    }
  }

 private:
  void step(const Batch& batch, double lr) {
    std::vector<std::vector<double>> sums(adam_.size());
    double loss = 0;
    const std::size_t middle = (batch.valid + 1) / 2;
    const std::size_t ends[] = {0, middle, batch.valid};
    for (std::size_t r = 0; r < kRanks; ++r) {
      if (ends[r] == ends[r + 1]) continue;
      const double share =
          static_cast<double>(ends[r + 1] - ends[r]) / static_cast<double>(batch.valid);
      Plan& plan = models_[r]->plan(Mode::train);
      upload_batch(plan, part(batch, ends[r], ends[r + 1]));
      plan.state().lr = 0;  // gradients only
      plan.state().step = 1;
      plan.run();
      loss += share * plan.state().loss;
      add_gradients(*models_[r], share, sums);
    }
    losses_.push_back(loss);
    ++steps_;
    for (std::size_t i = 0; i < adam_.size(); ++i) {
      if (sums[i].empty()) continue;
      const auto id = static_cast<ParamId>(i);
      std::vector<float> w = model().parameters().get(external::weights, id);
      adam_[i].update(w, sums[i], steps_, lr);
      for (const auto& m : models_) m->parameters().set(external::weights, id, w);
    }
    for (const auto& m : models_) m->parameters_changed();
  }

  static void add_gradients(const Model& model, double share,
                            std::vector<std::vector<double>>& sums) {
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const auto id = static_cast<ParamId>(i);
      if (!model.graph().param_at(id).trainable()) continue;
      const std::vector<float> g = model.parameters().get(external::gradients, id);
      sums[i].resize(g.size());
      for (std::size_t k = 0; k < g.size(); ++k) sums[i][k] += share * double{g[k]};
    }
  }

  Config config_;
  Splits splits_;
  TrainingLabels labels_;
  Loader loader_;
  std::vector<std::unique_ptr<Model>> models_;
  std::vector<AdamByHand> adam_;
  std::vector<double> losses_;
  std::int64_t steps_ = 0;
};

/// The losses of a run's steps.csv beside the reference's, step by step.
struct Losses {
  std::vector<double> ranks, reference;

  /// Largest relative difference of the first steps.
  double worst(std::size_t steps) const {
    double out = 0;
    for (std::size_t i = 0; i < steps; ++i)
      out = std::max(out, std::abs(ranks[i] / reference[i] - 1));
    return out;
  }
};

Losses losses_of(const std::string& steps_csv, const Reference& reference) {
  Losses out{{}, reference.losses()};
  const CsvTable steps = CsvTable::read(steps_csv);
  for (std::size_t i = 0; i < steps.rows(); ++i) out.ranks.push_back(std::stod(steps.text(i, 2)));
  return out;
}

double mean(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

/// Largest difference of a weight tensor, in its norm.
double worst_weights(const std::string& checkpoint, Reference& reference) {
  const Checkpoint got = read_checkpoint(checkpoint, "");
  const Graph& graph = reference.model().graph();
  double worst = 0;
  for (ParamId id = 0; id < static_cast<ParamId>(graph.params().size()); ++id) {
    const Param& p = graph.param_at(id);
    const std::vector<float> want = reference.model().parameters().get(external::weights, id);
    const std::vector<float>& values = got.tensors.at(p.name).values;
    EXPECT_EQ(values.size(), want.size()) << p.name;
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      error += std::pow(double{values[i]} - double{want[i]}, 2);
      norm += std::pow(double{want[i]}, 2);
    }
    worst = std::max(worst, std::sqrt(error / norm));
  }
  return worst;
}

void train_by_ranks(const Folder& folder, const std::string& config,
                    const std::vector<std::string>& more) {
  Arguments train = {"train", config, "--out", "run", "--quiet"};
  train.insert(train.end(), more.begin(), more.end());
  for (const Outcome& outcome : RanksByHand(folder.path(), train).finish())
    ASSERT_EQ(outcome.status, 0) << outcome.err;
}

TEST(RanksReference, TwoRanksEqualTwoHalvesByHand) {
  const Folder folder;
  prepare_ranks(folder);
  // A large eps: Adam would take the sign of gradients that are nothing but rounding.
  const std::vector<std::string> more = {"train.threads=1", "optimizer.weight_decay=0.001",
                                         "optimizer.eps=0.001", "optimizer.lr=1e-4"};
  train_by_ranks(folder, "c.json", more);
  Config config = load_config(folder / "c.json", more);
  config.data.train = folder / config.data.train;
  config.data.val = folder / config.data.val;
  Reference reference(config);
  reference.run();

  const Losses losses = losses_of(folder / "run/steps.csv", reference);
  ASSERT_EQ(losses.ranks.size(), losses.reference.size());
  const double loss = losses.worst(losses.ranks.size());
  const double weights = worst_weights(folder / "run/checkpoints/last.safetensors", reference);
  EXPECT_LT(loss, 1e-5);
  EXPECT_LT(weights, 1e-5);
  std::printf("worst loss %.2g, worst weights %.2g (relative)\n", loss, weights);
}

// The quick start as it is shipped, on fewer faces. Adam turns the rounding of small gradients
// into whole steps, so that the losses of two right trainings part after some ten steps: the
// first agree in their digits, all of them in their mean.
TEST(RanksReference, TwoRanksTrainTheQuickStartLikeTheReference) {
  const Folder folder;
  const std::string quickstart = AFFUSE_SOURCE_DIR "/configs/quickstart.json";
  const std::vector<std::string> more = {"train.threads=1",          "train.epochs=1",
                                         "train.log_every=1",        "train.batch_size=16",
                                         "data.synthetic.train=832", "data.synthetic.val=64"};
  train_by_ranks(folder, quickstart, more);
  Config config = load_config(quickstart, more);
  config.data.root = folder / config.data.root;
  Reference reference(config);
  reference.run();
  const Losses losses = losses_of(folder / "run/steps.csv", reference);
  ASSERT_EQ(losses.ranks.size(), losses.reference.size());
  EXPECT_LT(losses.worst(6), 1e-5);
  const double ratio = mean(losses.ranks) / mean(losses.reference);
  EXPECT_NEAR(ratio, 1, 0.03);
  std::printf("worst of 6 losses %.2g (relative), mean of %zu: ratio %.4f\n", losses.worst(6),
              losses.ranks.size(), ratio);
}

}  // namespace
}  // namespace affuse::test
