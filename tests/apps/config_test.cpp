// The configuration: defaults, overrides, round trips, resume, shipped files, generated documents.
#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "apps/config/load.h"
#include "apps/config/nearest.h"
#include "apps/config/table.h"
#include "engine/error.h"

namespace affuse {
namespace {

const std::string kSource = AFFUSE_SOURCE_DIR;
const std::string kSynthetic = R"({"data": {"kind": "synthetic", "root": "faces"}})";

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

Config with(const std::vector<std::string>& overrides) {
  return parse_config(kSynthetic, "a.json", overrides);
}

std::string error_of(const std::vector<std::string>& overrides) {
  try {
    with(overrides);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(ConfigDefaults, AreTheStructsAndThePapers) {
  const Config c = parse_config(kSynthetic, "a.json");
  EXPECT_EQ(c.data.kind, Config::Data::Kind::synthetic);
  EXPECT_EQ(c.data.classes.size(), 8u);
  EXPECT_EQ(c.data.classes[7], "Contempt");
  EXPECT_EQ(c.label_model.trim, 1.0);
  EXPECT_EQ(c.fusion.alpha, 0.5);
  EXPECT_EQ(c.noise.seed, c.train.seed);
  EXPECT_EQ(c.swa.start_epoch, 38);  // the first epoch wholly after 75 % of 50
  EXPECT_FALSE(c.swa.lr.has_value());
  Config expected;
  expected.data.kind = Config::Data::Kind::synthetic;
  expected.data.root = "faces";
  EXPECT_EQ(c, resolve(expected));
}

TEST(ConfigDefaults, ResolveFollowsWhatIsGiven) {
  EXPECT_EQ(with({"label_model.kind=noise_aware"}).fusion.alpha, 0.0);
  EXPECT_EQ(with({"label_model.kind=noise_aware", "fusion.alpha=0.25"}).fusion.alpha, 0.25);
  EXPECT_EQ(with({"fusion.alpha=0.25", "fusion.alpha=auto"}).fusion.alpha, 0.5);
  EXPECT_EQ(with({"train.seed=9"}).noise.seed, 9u);
  EXPECT_EQ(with({"train.seed=9", "noise.seed=0"}).noise.seed, 0u);
  for (const auto& [epochs, start] : {std::pair{1, 1}, {2, 2}, {4, 4}, {6, 5}, {50, 38}}) {
    EXPECT_EQ(with({"train.epochs=" + std::to_string(epochs)}).swa.start_epoch, start) << epochs;
  }
  const Config once = with({});
  EXPECT_EQ(resolve(once), once);
}

TEST(ConfigOverrides, AreJsonOrBareWords) {
  const Config c =
      with({"train.epochs=7", "optimizer.lr=1e-4", "optimizer.decoupled=true",
            "data.root=my faces/2024", "model.init=\"a=b.pth\"", "label_model.trim=none",
            "augment.scale=[1, 1.5]", "augment.erase={\"p\": 0.25, \"area\": [0.1, 0.2]}",
            "data.classes=[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"\u00e9\"]",
            "swa.start_epoch=3", "swa.lr=0.5", "output.name="});
  EXPECT_EQ(c.train.epochs, 7);
  EXPECT_EQ(c.optimizer.lr, 1e-4);
  EXPECT_TRUE(c.optimizer.decoupled);
  EXPECT_EQ(c.data.root, "my faces/2024");
  EXPECT_EQ(c.model.init, "a=b.pth");
  EXPECT_FALSE(c.label_model.trim.has_value());
  EXPECT_EQ(c.augment.scale, (std::array<double, 2>{1, 1.5}));
  EXPECT_EQ(c.augment.erase.p, 0.25);
  EXPECT_EQ(c.augment.erase.ratio, (std::array<double, 2>{0.3, 3.3}));
  EXPECT_EQ(c.data.classes[7], "\u00e9");
  EXPECT_EQ(c.swa.start_epoch, 3);
  EXPECT_EQ(c.swa.lr, 0.5);
  EXPECT_EQ(c.output.name, "");
  EXPECT_EQ(with({"data.root=//server/share"}).data.root, "//server/share");
  EXPECT_EQ(with({"train.epochs=3", "train.epochs=4"}).train.epochs, 4);  // the last one wins
}

TEST(ConfigOverrides, ErrorsNameTheArgument) {
  EXPECT_EQ(error_of({"loss.alpha=x"}),
            "argument 'loss.alpha=x': loss.alpha: unknown key; did you mean fusion.alpha?");
  EXPECT_EQ(
      error_of({"fusion.alpha=x"}),
      "argument 'fusion.alpha=x': fusion.alpha: the string \"x\" is of the wrong type; give a "
      "number from 0 to 1, or \"auto\"");
  EXPECT_EQ(error_of({"train.epochs"}),
            "argument 'train.epochs': not an override; write key.path=value");
  EXPECT_EQ(error_of({"=3"}), "argument '=3': not an override; write key.path=value");
  EXPECT_EQ(error_of({"train=3"}).substr(0, 58),
            "argument 'train=3': train: 3 is of the wrong type; give an");
  EXPECT_EQ(error_of({"data.root=2024"}),
            "argument 'data.root=2024': data.root: 2024 is a number; to give it as a string, quote "
            "it twice: 'data.root=\"2024\"'");
  EXPECT_EQ(error_of({"train.epochs=1.0"}),
            "argument 'train.epochs=1.0': train.epochs: 1.0 is of the wrong type; give an integer "
            "from 1 to 100000 without a fraction or exponent");
}

TEST(ConfigOverrides, CrossChecksNameWhereTheKeyWasGiven) {
  EXPECT_EQ(
      error_of({"train.epochs=4", "swa.enabled=true", "swa.start_epoch=5"}),
      "argument 'swa.start_epoch=5': swa.start_epoch: 5 is after the last of 4 epochs; give 1 "
      "to 4 or \"auto\"");
  EXPECT_EQ(
      error_of({"train.select=swa"}),
      "argument 'train.select=swa': train.select: swa needs averaged weights; set swa.enabled "
      "to true");
  EXPECT_EQ(error_of({"data.root="}),
            "argument 'data.root=': data.root: empty, but data.kind synthetic needs it; name the "
            "folder of the data set");
}

TEST(ConfigWarmup, IsCheckedAgainstTheSteps) {
  EXPECT_EQ(error_of({"train.epochs=1", "schedule.warmup_steps=94"}), "accepted");  // 6000 / 64
  EXPECT_NE(error_of({"train.epochs=1", "schedule.warmup_steps=95"}).find("the 94 steps"),
            std::string::npos);
  EXPECT_NE(error_of({"train.epochs=2", "train.limit_batches=3", "schedule.warmup_steps=7"})
                .find("the 6 steps"),
            std::string::npos);
  Config c = with({});
  c.schedule.warmup_steps = 500;
  EXPECT_NO_THROW(check_warmup(c, 10));
  EXPECT_THROW(check_warmup(c, 9), ConfigError);
}

/// A value of the row that differs from `now`, as JSON text; empty if the type has none.
std::string another_value(const ConfigRow& row, const std::string& now) {
  switch (row.type) {
    case ValueType::boolean:
      return now == "true" ? "false" : "true";
    case ValueType::integer: {
      const long step = row.limits.step > 0 ? static_cast<long>(row.limits.step) : 1;
      const long low = static_cast<long>(row.limits.min);
      return std::to_string(now == std::to_string(low + step) ? low : low + step);
    }
    case ValueType::real:
      return row.path == "model.width" ? "0.75" : "0.30000000000000004";
    case ValueType::text:
      return "\"x \\\" \u00e9\"";
    case ValueType::choice:
      for (const auto name : row.choices) {
        if (json_quoted(name) != now) return json_quoted(name);
      }
      return {};
    case ValueType::reals:
      return row.count == 2 ? "[0.1, 0.2]" : "[0.1, 0.2, 0.3]";
    case ValueType::texts:
      return R"(["a", "b", "c"])";
  }
  return {};
}

TEST(ConfigRoundTrip, EveryKeyAloneIsPrintedAndReadBack) {
  for (const ConfigRow& row : config_rows()) {
    Config c = with({});
    const std::string before = row.json(c);
    const std::string value = another_value(row, before);
    if (row.choices.size() == 1) continue;  // nothing else to choose
    ASSERT_FALSE(value.empty()) << row.path;
    const JsonNode node = read_json(value, "value");
    ASSERT_EQ(check_value(row, node), "") << row.path;
    row.set(c, node);
    EXPECT_NE(row.json(c), before) << row.path;
    EXPECT_NE(c, with({})) << row.path << ": the row leads to no member of its own";
    Config back;  // read key by key: a value alone may not fit the others
    const auto json = nlohmann::json::parse(print_config(c));
    for (const ConfigRow& other : config_rows()) {
      std::string pointer = "/" + std::string(other.path);
      std::replace(pointer.begin(), pointer.end(), '.', '/');
      const std::string text = json.at(nlohmann::json::json_pointer(pointer)).dump();
      other.set(back, read_json(text, "printed"));
    }
    EXPECT_EQ(back, c) << row.path;
  }
}

TEST(ConfigRoundTrip, PrintedParsesToTheSameConfig) {
  for (const char* file : {"quickstart", "affectnet", "csv"}) {
    const Config c = load_config(kSource + "/configs/" + file + ".json");
    const std::string text = print_config(c, {{"affuse", "0.1.0"}, {"onednn", "2.6.3"}});
    EXPECT_EQ(parse_config(text, "printed.json"), c) << file;
    EXPECT_EQ(nlohmann::json::parse(text)["versions"]["onednn"], "2.6.3");
  }
  const double odd = 0.1 + std::numeric_limits<double>::epsilon();
  Config c = with({});
  c.optimizer.eps = 1e-300;
  c.optimizer.lr = odd;
  EXPECT_EQ(parse_config(print_config(c), "p").optimizer.lr, odd);
  EXPECT_EQ(parse_config(print_config(c), "p"), c);
}

TEST(ConfigResume, OnlyTheContractsKeysMayChange) {
  const std::set<std::string_view> free = {"train.epochs", "train.device", "train.threads",
                                           "data.workers", "output.dir",   "output.name",
                                           "output.keep"};
  for (const ConfigRow& row : config_rows()) {
    if (row.choices.size() == 1) continue;
    const Config run = with({"train.epochs=1"});
    Config next = run;
    row.set(next, read_json(another_value(row, row.json(run)), "value"));
    const auto refused = compare_for_resume(run, next);
    if (free.contains(row.path)) {
      EXPECT_TRUE(refused.empty()) << row.path;
      continue;
    }
    ASSERT_EQ(refused.size(), 1u) << row.path;
    const std::string start =
        std::string(row.path) + ": " + row.json(run) + " in the run, " + row.json(next) + " now; ";
    EXPECT_EQ(refused[0].substr(0, start.size()), start);
  }
}

TEST(ConfigResume, EpochsGoUpOnlyAndKeepTheStartOfSwa) {
  const Config run = with({"train.epochs=50"});
  const Config more = with({"train.epochs=60"});
  EXPECT_TRUE(compare_for_resume(run, more).empty());
  EXPECT_EQ(more.swa.start_epoch, 46);
  EXPECT_EQ(continue_config(run, more).swa.start_epoch, 38);
  EXPECT_EQ(continue_config(run, more).train.epochs, 60);
  const auto fewer = compare_for_resume(more, run);
  ASSERT_EQ(fewer.size(), 1u);
  EXPECT_EQ(fewer[0], "train.epochs: 60 in the run, 50 now; a resumed run may only have more");
  EXPECT_EQ(compare_for_resume(run, with({"swa.start_epoch=40"})).size(), 1u);
}

TEST(ConfigShipped, FilesSayWhatTheyAre) {
  const Config quick = load_config(kSource + "/configs/quickstart.json");
  EXPECT_EQ(quick.data.kind, Config::Data::Kind::synthetic);
  EXPECT_EQ(quick.model.width, 0.5);
  EXPECT_EQ(quick.label_model.kind, Config::LabelModel::Kind::onehot);
  const Config paper = load_config(kSource + "/configs/affectnet.json");
  EXPECT_EQ(paper.data.image_size, 224);
  EXPECT_EQ(paper.train.batch_size, 256);
  EXPECT_EQ(paper.train.epochs, 50);
  EXPECT_EQ(paper.optimizer.lr, 2.5e-4);
  EXPECT_EQ(paper.optimizer.beta2, 0.999);
  EXPECT_EQ(paper.schedule.gamma, 0.5);
  EXPECT_EQ(paper.schedule.step_epochs, 30);
  EXPECT_TRUE(paper.swa.enabled);
  EXPECT_EQ(paper.label_model.kind, Config::LabelModel::Kind::gmm);
  const Config own = load_config(kSource + "/configs/csv.json");
  EXPECT_EQ(own.data.kind, Config::Data::Kind::csv);
}

TEST(ConfigDocuments, AreCommittedAsGenerated) {
  EXPECT_EQ(slurp(kSource + "/docs/config.schema.json"), config_schema())
      << "run: affuse --config-schema > docs/config.schema.json";
  EXPECT_EQ(slurp(kSource + "/docs/config.md"), config_reference())
      << "run: affuse --config-reference > docs/config.md";
}

/// The reference page's part about a section.
std::string section_of(const std::string& name) {
  const std::string page = config_reference();
  const std::size_t begin = page.find("\n## " + name + "\n");
  return begin == std::string::npos ? ""
                                    : page.substr(begin, page.find("\n## ", begin + 1) - begin);
}

TEST(ConfigDocuments, SchemaAndReferenceKnowEveryKey) {
  const auto schema = nlohmann::json::parse(config_schema());
  for (const ConfigRow& row : config_rows()) {
    const nlohmann::json* at = &schema;
    std::stringstream path{std::string(row.path)};
    for (std::string part; std::getline(path, part, '.');) {
      EXPECT_EQ(at->at("additionalProperties"), false);
      at = &at->at("properties").at(part);
    }
    EXPECT_EQ(at->at("default"), nlohmann::json::parse(row.json(Config{}))) << row.path;
    EXPECT_EQ(at->at("description"), row.help);
    EXPECT_NE(section_of(std::string(row.path.substr(0, row.path.rfind('.'))))
                  .find("| `" + std::string(row.path.substr(row.path.rfind('.') + 1)) + "` |"),
              std::string::npos)
        << row.path;
  }
}

TEST(ConfigTable, RowsAreUniqueExplainedAndAcceptTheirDefault) {
  std::set<std::string_view> seen;
  for (const ConfigRow& row : config_rows()) {
    EXPECT_TRUE(seen.insert(row.path).second) << row.path;
    EXPECT_TRUE(row.help.ends_with('.')) << row.path;
    EXPECT_EQ(check_value(row, read_json(row.json(Config{}), "default")), "") << row.path;
  }
  EXPECT_GT(seen.size(), 85u);
}

TEST(ConfigNearest, DistancesAndWords) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("alhpa", "alpha"), 1);  // a swap is one slip
  EXPECT_EQ(nearest_word("Adm", {"adam", "sgd"}), "adam");
  EXPECT_EQ(nearest_word("zzzz", {"adam", "sgd"}), "");
  EXPECT_EQ(nearest_path("loss.lr", {"loss.l2", "optimizer.lr"}), "loss.l2");
  EXPECT_EQ(nearest_path("lr", {"loss.l2", "optimizer.lr"}), "optimizer.lr");
  EXPECT_EQ(nearest_path("trian.epochs", {"train.epochs", "schedule.step_epochs"}), "train.epochs");
}

}  // namespace
}  // namespace affuse
