// labels.json: a fitted label model as text, and back (label_model.from).
#include <algorithm>
#include <cmath>

#include "apps/commands/labels.h"
#include "apps/trainer/measures.h"
#include "engine/error.h"
#include "fmt/format.h"

namespace affuse {
namespace {

using Json = nlohmann::ordered_json;

Json point_json(const Point& p) { return Json::array({p.v, p.a}); }

Json covariance_json(const Covariance& s) {
  return Json::array({Json::array({s.vv, s.va}), Json::array({s.va, s.aa})});
}

Json noise_aware_json(const NoiseAwareMixture& m, std::size_t classes) {
  Json components = Json::array();
  const auto per_class = static_cast<std::size_t>(m.components);
  for (std::size_t k = 0; k < classes; ++k) {
    Json of_class = Json::array();
    for (std::size_t c = 0; c < per_class; ++c) {
      const MixtureComponent& g = m.gaussians[k * per_class + c];
      of_class.push_back(
          {{"w", g.weight}, {"mu", point_json(g.mu)}, {"sigma", covariance_json(g.sigma)}});
    }
    components.push_back(std::move(of_class));
  }
  Json transition = Json::array();
  for (std::size_t y = 0; y < classes; ++y) {
    const auto row = m.transition.begin() + static_cast<std::ptrdiff_t>(y * classes);
    transition.push_back(std::vector<double>(row, row + static_cast<std::ptrdiff_t>(classes)));
  }
  return {{"components", std::move(components)},
          {"e", m.e},
          {"noise", name_of(m.noise)},
          {"transition", std::move(transition)},
          {"rounds", m.rounds},
          {"stopped", m.reason},
          {"gain", m.gain},
          {"log_likelihood", m.log_likelihood}};
}

/// Checked access to labels.json; every error names the file and the key.
class Reader {
 public:
  Reader(const Json& json, std::string place) : json_(json), place_(std::move(place)) {}

  Reader at(const char* key) const {
    if (!json_.is_object() || !json_.contains(key)) fail(fmt::format("key {} is missing", key));
    return {json_.at(key), place_ + ": " + key};
  }
  bool has(const char* key) const { return json_.is_object() && json_.contains(key); }
  Reader at(std::size_t i) const { return {json_.at(i), fmt::format("{}[{}]", place_, i)}; }
  std::size_t size(std::size_t low, std::size_t high) const {
    if (!json_.is_array() || json_.size() < low || json_.size() > high) {
      fail(fmt::format("needs to be an array of {} to {} entries", low, high));
    }
    return json_.size();
  }
  double number(double low, double high) const {
    const double x = json_.is_number() ? json_.get<double>() : std::nan("");
    if (!(x >= low && x <= high)) fail(fmt::format("needs to be a number in [{}, {}]", low, high));
    return x;
  }
  std::size_t count() const {
    if (!json_.is_number_unsigned()) fail("needs to be a whole number, 0 or more");
    return json_.get<std::size_t>();
  }
  std::string text() const {
    if (json_.is_number_unsigned()) return std::to_string(json_.get<std::size_t>());
    if (!json_.is_string()) fail("needs to be a text");
    return json_.get<std::string>();
  }
  Point point() const {
    size(2, 2);
    return {at(std::size_t{0}).number(-1e6, 1e6), at(1).number(-1e6, 1e6)};
  }
  Covariance covariance(bool positive) const {
    size(2, 2);
    const Reader first = at(std::size_t{0}), second = at(1);
    first.size(2, 2);
    second.size(2, 2);
    const Covariance s{first.at(std::size_t{0}).number(0, 1e12), first.at(1).number(-1e12, 1e12),
                       second.at(1).number(0, 1e12)};
    const bool definite = s.vv > 0 && s.aa > 0 && s.vv * s.aa - s.va * s.va > 0;
    if (positive && !definite) fail("is not positive definite");
    if (second.at(std::size_t{0}).number(-1e12, 1e12) != s.va) fail("is not symmetric");
    return s;
  }
  [[noreturn]] void fail(const std::string& what) const { throw DataError(place_ + ": " + what); }

 private:
  const Json& json_;
  std::string place_;
};

NoiseAwareMixture read_noise_aware(const Reader& json, std::size_t classes) {
  NoiseAwareMixture m;
  m.e = json.at("e").number(0, 1);
  const Reader components = json.at("components");
  components.size(classes, classes);
  const std::size_t per_class = components.at(std::size_t{0}).size(1, math::kMaxComponents);
  m.components = static_cast<int>(per_class);
  for (std::size_t k = 0; k < classes; ++k) {
    const Reader of_class = components.at(k);
    of_class.size(per_class, per_class);
    for (std::size_t c = 0; c < per_class; ++c) {
      const Reader g = of_class.at(c);
      const double w = g.at("w").number(0, 1);
      m.gaussians.push_back({w, g.at("mu").point(), g.at("sigma").covariance(w > 0)});
    }
  }
  const bool full = json.has("noise") && json.at("noise").text() == "full";
  m.noise = full ? NoiseMatrix::full : NoiseMatrix::symmetric;
  for (std::size_t y = 0; y < classes; ++y) {
    for (std::size_t k = 0; k < classes; ++k) {
      double t =
          y == k ? 1 - m.e : m.e / static_cast<double>(std::max<std::size_t>(classes, 2) - 1);
      if (full) {
        const Reader rows = json.at("transition");
        rows.size(classes, classes);
        rows.at(y).size(classes, classes);
        t = rows.at(y).at(k).number(0, 1);
      }
      m.transition.push_back(t);
    }
  }
  return m;
}

}  // namespace

std::string labels_json(const LabelModel& model, const std::vector<std::string>& classes,
                        double alpha) {
  const std::size_t k = model.pi.size();
  const LabelModelOptions& o = model.options;
  Json out{{"schema", 1}, {"kind", name_of(o.kind)}, {"classes", Json::array()}};
  for (std::size_t i = 0; i < k; ++i) out["classes"].push_back(class_json(classes, i));
  out["counts"] = model.counts;
  out["weights"] = model.weights;
  out["pi"] = model.pi;
  out["mu"] = Json::array();
  out["sigma"] = Json::array();
  for (std::size_t i = 0; i < k; ++i) {
    out["mu"].push_back(point_json(model.mu[i]));
    out["sigma"].push_back(covariance_json(model.sigma[i]));
  }
  out["kept"] = model.kept;
  out["trim"] = o.trim ? Json(*o.trim) : Json("none");
  out["prior"] = o.prior == ClassPrior::uniform ? "uniform" : "empirical";
  out["euclid_power"] = o.euclid_power;
  out["alpha"] = alpha;
  if (model.noise_aware.components > 0) {
    out["noise_aware"] = noise_aware_json(model.noise_aware, k);
  }
  return out.dump(1) + "\n";
}

StoredLabelModel parse_labels_json(const std::string& text, const std::string& name) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) throw DataError(name + ": is not JSON");
  const Reader root(json, name);
  if (root.at("schema").count() != 1) root.at("schema").fail("needs to be 1");
  StoredLabelModel out;
  LabelModel& model = out.model;
  const std::size_t k = root.at("classes").size(1, math::kMaxClasses);
  for (const char* key : {"counts", "weights", "pi", "mu", "sigma", "kept"})
    root.at(key).size(k, k);
  model.options.kind = label_kind_of(root.at("kind").text());
  if (root.has("euclid_power")) {
    model.options.euclid_power = static_cast<int>(root.at("euclid_power").number(1, 2));
  }
  for (std::size_t i = 0; i < k; ++i) {
    out.classes.push_back(root.at("classes").at(i).text());
    model.counts.push_back(root.at("counts").at(i).count());
    model.weights.push_back(root.at("weights").at(i).number(0, 1e12));
    model.pi.push_back(root.at("pi").at(i).number(0, 1));
    model.mu.push_back(root.at("mu").at(i).point());
    model.sigma.push_back(root.at("sigma").at(i).covariance(model.pi[i] > 0));
    model.kept.push_back(root.at("kept").at(i).count());
  }
  if (root.has("noise_aware")) {
    model.noise_aware = read_noise_aware(root.at("noise_aware"), k);
    model.options.components = model.noise_aware.components;
  }
  return out;
}

}  // namespace affuse
