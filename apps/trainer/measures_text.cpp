// The measures as JSON for scripts and as a table for people.
#include <algorithm>
#include <iterator>

#include "apps/config/choices.h"
#include "apps/trainer/measures.h"
#include "fmt/format.h"

namespace affuse {
namespace {

using Json = nlohmann::ordered_json;

std::string name_at(const std::vector<std::string>& classes, std::size_t k) {
  return k < classes.size() ? classes[k] : std::to_string(k);
}

Json regression_json(const Regression& r) {
  return {{"rmse", r.rmse},
          {"ccc", r.ccc},
          {"pearson", r.pearson},
          {"sign_agreement", r.sign_agreement}};
}

Json calibration_json(const CalibrationValues& c) {
  return {{"ece", c.ece},
          {"mce", c.mce},
          {"adaptive_ece", c.adaptive_ece},
          {"nll", c.nll},
          {"brier", c.brier}};
}

void print_classes(fmt::memory_buffer& out, const Classification& c,
                   const std::vector<std::string>& classes) {
  std::size_t width = 5;
  for (std::size_t k = 0; k < c.per_class.size(); ++k) {
    width = std::max(width, name_at(classes, k).size());
  }
  const auto to = std::back_inserter(out);
  fmt::format_to(to,
                 "accuracy {:.4f}   macro-F1 {:.4f}\n\n{:<{}}  precision  recall      F1  "
                 "support  predicted as\n",
                 c.accuracy, c.macro_f1, "class", width);
  for (std::size_t k = 0; k < c.per_class.size(); ++k) {
    const ClassMeasures& m = c.per_class[k];
    fmt::format_to(to, "{:<{}}  {:9.4f}  {:6.4f}  {:6.4f}  {:7}  {:>6}\n", name_at(classes, k),
                   width, m.precision, m.recall, m.f1, m.support, fmt::join(c.confusion[k], " "));
  }
}

void print_axis(fmt::memory_buffer& out, const char* name, const Regression& r) {
  fmt::format_to(std::back_inserter(out),
                 "{}  RMSE {:.4f}  CCC {:.4f}  Pearson {:.4f}  sign agreement {:.4f}\n", name,
                 r.rmse, r.ccc, r.pearson, r.sign_agreement);
}

const char* origin(TemperatureFrom from) {
  switch (from) {
    case TemperatureFrom::predictions:
      return "T fitted on these samples themselves; calibration.holdout fits it on others";
    case TemperatureFrom::holdout:
      return "T fitted on training samples held out (calibration.holdout)";
    case TemperatureFrom::given:
      return "T as given";
  }
  return "";
}

void print_calibration(fmt::memory_buffer& out, const Calibration& c) {
  const auto line = [&](const std::string& name, const CalibrationValues& v) {
    fmt::format_to(std::back_inserter(out),
                   "{:<12}  ECE {:.4f}  MCE {:.4f}  adaptive ECE {:.4f}  NLL {:.4f}  Brier "
                   "{:.4f}\n",
                   name, v.ece, v.mce, v.adaptive_ece, v.nll, v.brier);
  };
  line("calibration", c.raw);
  line(fmt::format("at T = {:.3f}", c.temperature), c.scaled);
  fmt::format_to(std::back_inserter(out), "{:<12}  {}\n", "", origin(c.temperature_from));
}

}  // namespace

Json class_json(const std::vector<std::string>& classes, std::size_t k) {
  for (std::size_t j = 0; j < classes.size(); ++j) {
    if (classes[j] != std::to_string(j)) return classes.at(k);
  }
  return k;
}

Json to_json(const Measures& measures, const std::vector<std::string>& classes) {
  Json out{{"schema", 1}, {"n", measures.n}};
  if (measures.classification) {
    const Classification& c = *measures.classification;
    out["accuracy"] = c.accuracy;
    out["macro_f1"] = c.macro_f1;
    out["per_class"] = Json::array();
    for (std::size_t k = 0; k < c.per_class.size(); ++k) {
      const ClassMeasures& m = c.per_class[k];
      out["per_class"].push_back({{"class", class_json(classes, k)},
                                  {"precision", m.precision},
                                  {"recall", m.recall},
                                  {"f1", m.f1},
                                  {"support", m.support}});
    }
    out["confusion"] = c.confusion;
  }
  if (measures.valence) out["valence"] = regression_json(*measures.valence);
  if (measures.arousal) out["arousal"] = regression_json(*measures.arousal);
  if (measures.calibration) {
    const Calibration& c = *measures.calibration;
    Json values{{"bins", c.bins}};
    values.update(calibration_json(c.raw));
    values["temperature"] = c.temperature;
    values["temperature_from"] = name_of(c.temperature_from);
    values["scaled"] = calibration_json(c.scaled);
    out["calibration"] = std::move(values);
  }
  return out;
}

std::string to_text(const Measures& measures, const std::vector<std::string>& classes) {
  fmt::memory_buffer out;
  fmt::format_to(std::back_inserter(out), "{} samples\n", measures.n);
  if (measures.classification) print_classes(out, *measures.classification, classes);
  if (measures.valence) print_axis(out, "valence", *measures.valence);
  if (measures.arousal) print_axis(out, "arousal", *measures.arousal);
  if (measures.calibration) print_calibration(out, *measures.calibration);
  return fmt::to_string(out);
}

}  // namespace affuse
