#include "data/target_model.h"

#include <algorithm>

namespace affuse {
namespace {

math::TargetKind target_kind(LabelKind kind) {
  switch (kind) {
    case LabelKind::gmm:
      return math::TargetKind::gmm;
    case LabelKind::euclid:
      return math::TargetKind::euclid;
    case LabelKind::noise_aware:
      return math::TargetKind::noise_aware;
    case LabelKind::onehot:
      return math::TargetKind::onehot;
    case LabelKind::given:
      return math::TargetKind::given;
  }
  return math::TargetKind::onehot;
}

math::Gaussian<float> single(const math::Gaussian<double>& g) {
  return {static_cast<float>(g.mu_v), static_cast<float>(g.mu_a), static_cast<float>(g.w11),
          static_cast<float>(g.w21),  static_cast<float>(g.w22),  static_cast<float>(g.log_scale)};
}

math::GmmParams<float> single(const math::GmmParams<double>& m) {
  math::GmmParams<float> out{};
  out.classes = m.classes;
  for (int k = 0; k < m.classes; ++k) out.gaussian[k] = single(m.gaussian[k]);
  return out;
}

math::EuclidParams<float> single(const math::EuclidParams<double>& m) {
  math::EuclidParams<float> out{};
  out.classes = m.classes;
  out.power = m.power;
  for (int k = 0; k < m.classes; ++k) {
    out.mu_v[k] = static_cast<float>(m.mu_v[k]);
    out.mu_a[k] = static_cast<float>(m.mu_a[k]);
    out.present[k] = m.present[k];
  }
  return out;
}

math::NoiseAwareParams<float> single(const math::NoiseAwareParams<double>& m) {
  math::NoiseAwareParams<float> out{};
  out.classes = m.classes;
  out.components = m.components;
  for (int i = 0; i < m.classes * m.components; ++i) out.gaussian[i] = single(m.gaussian[i]);
  for (int i = 0; i < m.classes * m.classes; ++i) out.log_t[i] = static_cast<float>(m.log_t[i]);
  return out;
}

}  // namespace

math::TargetModel<float> target_model(const LabelModel& model, double alpha, double smoothing) {
  math::TargetModel<float> out{};
  out.kind = target_kind(model.options.kind);
  out.classes = model.classes();
  out.knows_va = std::any_of(model.pi.begin(), model.pi.end(), [](double p) { return p > 0; });
  out.alpha = static_cast<float>(alpha);
  out.smoothing = static_cast<float>(smoothing);
  out.gmm = single(model.gmm_params());
  out.euclid = single(model.euclid_params());
  if (model.noise_aware.components > 0) out.noise_aware = single(model.noise_aware_params());
  return out;
}

}  // namespace affuse
