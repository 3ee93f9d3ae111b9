// Configurations that are JSON but wrong: keys, types, ranges, choices, keys against each other.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "apps/config/load.h"
#include "engine/error.h"
#include "tests/apps/wrong_values.h"

namespace affuse {
namespace {

using test::given;

std::string error_of(const std::string& text) {
  try {
    parse_config(text, "a.json");
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(ConfigRefusals, EachWrongKeyOrValueGivesItsLine) {
  for (const auto& rows : {test::kWrongValues, test::kWrongTogether}) {
    for (const test::WrongConfig& r : rows)
      EXPECT_EQ(error_of(r.text), "a.json:" + r.error) << r.name;
  }
}

TEST(ConfigRefusals, LongThingsAreCut) {
  EXPECT_EQ(error_of(given("\"" + std::string(300, 'k') + "\": 3")),
            "a.json:3: " + std::string(80, 'k') +
                "...: unknown key; choose from data, noise, label_model, fusion, augment, model, "
                "loss, optimizer, schedule, swa, train, output, calibration");
  EXPECT_EQ(error_of(given("\"train\": {\"seed\": " + std::string(60, '9') + "}")),
            "a.json:3: train.seed: " + std::string(40, '9') +
                "... is out of range; give an integer from 0 to 9007199254740991");
  EXPECT_EQ(error_of(given("\"train\": {\"device\": \"" + std::string(5000, 'a') + "\"}")),
            "a.json:3: train.device: \"" + std::string(60, 'a') +
                "...\" is no choice; choose auto | cuda | cpu");
}

TEST(ConfigRefusals, WhatStandsAtTheEdgeIsAccepted) {
  const Config c = parse_config(
      given(R"("noise": {"rate": 1}, "fusion": {"alpha": 0}, "optimizer": {"beta1": 0, "lr": 10},
               "train": {"seed": 9007199254740991, "epochs": 1, "batch_size": 65535},
               "label_model": {"trim": 1e-300}, "augment": {"scale": [1, 1], "hue": -0},
               "schedule": {"min_lr": 1e-400})"),
      "a.json");
  EXPECT_EQ(c.train.seed, 9007199254740991u);
  EXPECT_EQ(c.fusion.alpha, 0.0);
  EXPECT_EQ(c.label_model.trim, 1e-300);
  EXPECT_EQ(c.augment.hue, 0.0);
  EXPECT_EQ(c.schedule.min_lr, 0.0) << "nearest to 1e-400";
}

}  // namespace
}  // namespace affuse
