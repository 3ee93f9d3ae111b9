// The names are the same on both sides; the enumerations are not, so that data/ needs no config.
#include "apps/config/label_options.h"

namespace affuse {

LabelModelOptions label_model_options(const Config& config) {
  using Section = Config::LabelModel;
  const Section& in = config.label_model;
  LabelModelOptions out;
  out.kind = label_kind_of(name_of(in.kind));
  out.prior = in.prior == Section::Prior::uniform ? ClassPrior::uniform : ClassPrior::empirical;
  out.trim = in.trim;
  out.euclid_power = in.euclid_power;
  out.components = in.components;
  out.noise = in.noise == Section::Transition::full ? NoiseMatrix::full : NoiseMatrix::symmetric;
  out.seed = config.train.seed;
  out.max_rounds = in.max_rounds;
  out.tolerance = in.tolerance;
  return out;
}

}  // namespace affuse
