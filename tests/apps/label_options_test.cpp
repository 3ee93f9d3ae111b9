// Config section `label_model` reaches the label model as it was written.
#include "apps/config/label_options.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "apps/config/load.h"

namespace affuse {
namespace {

LabelModelOptions with(const std::vector<std::string>& overrides) {
  return label_model_options(
      parse_config(R"({"data": {"kind": "synthetic", "root": "f"}})", "a.json", overrides));
}

TEST(LabelOptions, DefaultsAgreeOnBothSides) {
  const LabelModelOptions expected, out = with({"train.seed=0"});
  EXPECT_EQ(out.kind, expected.kind);
  EXPECT_EQ(out.prior, expected.prior);
  EXPECT_EQ(out.trim, expected.trim);
  EXPECT_EQ(out.euclid_power, expected.euclid_power);
  EXPECT_EQ(out.components, expected.components);
  EXPECT_EQ(out.noise, expected.noise);
  EXPECT_EQ(out.seed, expected.seed);
  EXPECT_EQ(out.max_rounds, expected.max_rounds);
  EXPECT_EQ(out.tolerance, expected.tolerance);
}

TEST(LabelOptions, EveryKeyArrives) {
  const LabelModelOptions out =
      with({"label_model.prior=uniform", "label_model.trim=none", "label_model.euclid_power=1",
            "label_model.components=5", "label_model.noise=full", "label_model.max_rounds=7",
            "label_model.tolerance=0.5", "train.seed=11"});
  EXPECT_EQ(out.prior, ClassPrior::uniform);
  EXPECT_FALSE(out.trim.has_value());
  EXPECT_EQ(out.euclid_power, 1);
  EXPECT_EQ(out.components, 5);
  EXPECT_EQ(out.noise, NoiseMatrix::full);
  EXPECT_EQ(out.max_rounds, 7);
  EXPECT_EQ(out.tolerance, 0.5);
  EXPECT_EQ(out.seed, 11u);
}

TEST(LabelOptions, EveryKindAndItsDefaultAlpha) {
  for (const std::string_view kind : choice_names(Config::LabelModel::Kind{})) {
    const std::string given = "label_model.kind=" + std::string(kind);
    EXPECT_EQ(name_of(with({given}).kind), kind);
    const Config config =
        parse_config(R"({"data": {"kind": "synthetic", "root": "f"}})", "a.json", {given});
    EXPECT_EQ(config.fusion.alpha, default_alpha(with({given}).kind)) << kind;
  }
}

}  // namespace
}  // namespace affuse
