// Configurations that are JSON but wrong: keys, types, ranges, choices, keys against each other.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "apps/config/load.h"
#include "engine/error.h"

namespace affuse {
namespace {

struct Refusal {
  std::string name, text, error;  // error: behind "a.json:"
};

/// A whole file with `rest` on line 3.
std::string given(const std::string& rest) {
  return "{\n  \"data\": {\"kind\": \"synthetic\", \"root\": \"faces\"},\n  " + rest + "\n}\n";
}

std::string error_of(const std::string& text) {
  try {
    parse_config(text, "a.json");
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "accepted";
}

const std::vector<Refusal> kRefusals = {
    {"KeySwap", given(R"("fusion": {"alhpa": 0.5})"),
     "3: fusion.alhpa: unknown key; did you mean fusion.alpha?"},
    {"KeyInTheWrongSection", given(R"("loss": {"alhpa": 0.5})"),
     "3: loss.alhpa: unknown key; did you mean fusion.alpha?"},
    {"KeyOfAnotherSection", given(R"("train": {"lr": 0.1})"),
     "3: train.lr: unknown key; did you mean optimizer.lr?"},
    {"KeyCase", given(R"("train": {"Epochs": 3})"),
     "3: train.Epochs: unknown key; did you mean train.epochs?"},
    {"KeyFar", given(R"("train": {"bananas": 3})"),
     "3: train.bananas: unknown key; choose from train: epochs, batch_size, precision, device, "
     "seed, deterministic, patience, max_hours, limit_batches, val_every, log_every, on_nonfinite, "
     "threads, workspace_mb, select"},
    {"KeyFarAtTop", given(R"("bananas": 3)"),
     "3: bananas: unknown key; choose from data, noise, label_model, fusion, augment, model, loss, "
     "optimizer, schedule, swa, train, output, calibration"},
    {"SectionMistyped", given(R"("optimiser": {"lr": 0.1})"),
     "3: optimiser: unknown key; did you mean optimizer?"},
    {"LeafAtTop", given(R"("epochs": 3)"), "3: epochs: unknown key; did you mean train.epochs?"},
    {"KeyDotted", given(R"("train.epochs": 3)"),
     R"(3: train.epochs: unknown key; keys are nested: write "train": {"epochs": ...})"},
    {"KeyEmpty", given(R"("": 3)"),
     R"(3: "": unknown key; choose from data, noise, label_model, fusion, augment, model, loss, optimizer, schedule, swa, train, output, calibration)"},
    {"KeyNested", given(R"("augment": {"erase": {"are": [0.1, 0.2]}})"),
     "3: augment.erase.are: unknown key; did you mean augment.erase.area?"},
    {"KeyUnicode", given(R"("train": {"épochs": 3})"),
     "3: train.épochs: unknown key; did you mean train.epochs?"},
    {"KeyBelowLeaf", given(R"("train": {"epochs": {"max": 3}})"),
     "3: train.epochs: an object is of the wrong type; give an integer from 1 to 100000"},
    {"DuplicateKey",
     given("\"train\": {\n    \"epochs\": 3,\n    \"seed\": 1,\n    \"epochs\": 3\n  }"),
     "6: train.epochs: duplicate key (first on line 4); remove one of them"},
    {"DuplicateSection", given("\"train\": {\"epochs\": 3},\n  \"train\": {\"seed\": 3}"),
     "4: train: duplicate key (first on line 3); remove one of them"},
    {"DuplicateByEscape", given(R"("train": {"epochs": 3, "\u0065pochs": 4})"),
     "3: train.epochs: duplicate key (first on line 3); remove one of them"},
    {"SectionIsNumber", given(R"("train": 3)"),
     "3: train: 3 is of the wrong type; give an object with epochs, batch_size, precision, device, "
     "seed, deterministic, patience, max_hours, limit_batches, val_every, log_every, on_nonfinite, "
     "threads, workspace_mb, select"},
    {"SectionIsNull", given(R"("swa": null)"),
     "3: swa: null is of the wrong type; give an object with enabled, start_epoch, lr"},
    {"SectionIsArray", given(R"("augment": {"erase": [0.5]})"),
     "3: augment.erase: an array is of the wrong type; give an object with p, area, ratio"},
    {"RealForInteger", given(R"("train": {"epochs": 1.0})"),
     "3: train.epochs: 1.0 is of the wrong type; give an integer from 1 to 100000 without a "
     "fraction or exponent"},
    {"ExponentForInteger", given(R"("train": {"epochs": 1e2})"),
     "3: train.epochs: 1e2 is of the wrong type; give an integer from 1 to 100000 without a "
     "fraction or exponent"},
    {"StringForInteger", given(R"("train": {"epochs": "3"})"),
     R"(3: train.epochs: the string "3" is of the wrong type; give an integer from 1 to 100000)"},
    {"BoolForInteger", given(R"("train": {"epochs": true})"),
     "3: train.epochs: true is of the wrong type; give an integer from 1 to 100000"},
    {"NullForInteger", given(R"("train": {"epochs": null})"),
     "3: train.epochs: null is of the wrong type; give an integer from 1 to 100000"},
    {"StringForReal", given(R"("optimizer": {"lr": "0.1"})"),
     R"(3: optimizer.lr: the string "0.1" is of the wrong type; give a number above 0 and at most 10)"},
    {"WordOfAnotherKey", given(R"("fusion": {"alpha": "none"})"),
     R"(3: fusion.alpha: the string "none" is of the wrong type; give a number from 0 to 1, or "auto")"},
    {"NullForOptional", given(R"("label_model": {"trim": null})"),
     R"(3: label_model.trim: null is of the wrong type; give a number above 0 and at most 100, or "none")"},
    {"IntegerForBool", given(R"("swa": {"enabled": 1})"),
     "3: swa.enabled: 1 is of the wrong type; give true or false"},
    {"StringForBool", given(R"("swa": {"enabled": "true"})"),
     R"(3: swa.enabled: the string "true" is of the wrong type; give true or false)"},
    {"NumberForString", given(R"("model": {"init": 18})"),
     "3: model.init: 18 is of the wrong type; give a string in double quotes"},
    {"ArrayForString", given(R"("model": {"init": ["a.pth"]})"),
     "3: model.init: an array is of the wrong type; give a string in double quotes"},
    {"NumberForChoice", given(R"("train": {"precision": 16})"),
     "3: train.precision: 16 is of the wrong type; give fp32 | tf32 | bf16 | fp16"},
    {"NumberForArray", given(R"("augment": {"scale": 1.2})"),
     "3: augment.scale: 1.2 is of the wrong type; give an array of 2 numbers above 0 and at most "
     "10"},
    {"ArrayTooShort", given(R"("augment": {"scale": [1.2]})"),
     "3: augment.scale: an array of 1 values; give an array of 2 numbers above 0 and at most 10"},
    {"ArrayTooLong", given(R"("augment": {"scale": [1, 2, 3]})"),
     "3: augment.scale: an array of 3 values; give an array of 2 numbers above 0 and at most 10"},
    {"ArrayOfStrings", given(R"("augment": {"scale": ["1", "2"]})"),
     R"(3: augment.scale: the string "1" is of the wrong type; give an array of 2 numbers above 0 and at most 10)"},
    {"ArrayNested", given(R"("augment": {"scale": [[1, 2], 2]})"),
     "3: augment.scale: an array is of the wrong type; give an array of 2 numbers above 0 and at "
     "most 10"},
    {"ClassesOfNumbers", R"({"data": {"kind": "synthetic", "root": "f", "classes": [0, 1]}})",
     "1: data.classes: 0 is of the wrong type; give an array of strings"},
    {"BelowRange", given(R"("train": {"epochs": 0})"),
     "3: train.epochs: 0 is out of range; give an integer from 1 to 100000"},
    {"NegativeInteger", given(R"("train": {"batch_size": -1})"),
     "3: train.batch_size: -1 is out of range; give an integer from 1 to 65535"},
    {"NegativeSeed", given(R"("train": {"seed": -1})"),
     "3: train.seed: -1 is out of range; give an integer from 0 to 9007199254740991"},
    {"AboveRange", given(R"("noise": {"rate": 1.5})"),
     "3: noise.rate: 1.5 is out of range; give a number from 0 to 1"},
    {"ExcludedMinimum", given(R"("optimizer": {"lr": 0})"),
     "3: optimizer.lr: 0 is out of range; give a number above 0 and at most 10"},
    {"ExcludedMaximum", given(R"("optimizer": {"beta1": 1})"),
     "3: optimizer.beta1: 1 is out of range; give a number at least 0 and below 1"},
    {"NotAMultiple",
     "{\n  \"data\": {\"kind\": \"synthetic\", \"root\": \"faces\", \"image_size\": 100},\n  "
     "\"train\": {}\n}\n",
     "2: data.image_size: 100 is out of range; give an integer from 32 to 1024, a multiple of 32"},
    {"WidthNotAMultiple", given(R"("model": {"width": 0.3})"),
     "3: model.width: 0.3 is out of range; give a number from 0.25 to 4, a multiple of 0.25"},
    {"ArrayElementOutOfRange", given(R"("augment": {"erase": {"area": [0, 0.2]}})"),
     "3: augment.erase.area: 0 is out of range; give an array of 2 numbers above 0 and at most 1"},
    {"Beyond32Bits", given(R"("train": {"epochs": 4294967297})"),
     "3: train.epochs: 4294967297 is out of range; give an integer from 1 to 100000"},
    {"Beyond64Bits", given(R"("train": {"seed": 18446744073709551616})"),
     "3: train.seed: 18446744073709551616 is out of range; give an integer from 0 to "
     "9007199254740991"},
    {"HugeReal", given(R"("optimizer": {"lr": 1e999})"),
     "3: column 27: number overflow parsing '1e999'; write a number that fits into 64 bits"},
    {"HugeNegativeReal", given("\"optimizer\": {\n    \"lr\": -1e999}"),
     "4: column 16: number overflow parsing '-1e999'; write a number that fits into 64 bits"},
    {"ChoiceMistyped", given(R"("label_model": {"kind": "gmn"})"),
     R"(3: label_model.kind: "gmn" is no choice; did you mean gmm? (choices: gmm | euclid | onehot | noise_aware | given))"},
    {"ChoiceCase", given(R"("train": {"precision": "BF16"})"),
     R"(3: train.precision: "BF16" is no choice; did you mean bf16? (choices: fp32 | tf32 | bf16 | fp16))"},
    {"ChoiceFar", given(R"("schedule": {"kind": "exponential"})"),
     R"(3: schedule.kind: "exponential" is no choice; choose step | cosine | constant)"},
    {"ChoiceOfOne", given(R"("optimizer": {"kind": "sgd"})"),
     R"(3: optimizer.kind: "sgd" is no choice; choose adam)"},
    {"ChoiceEmpty", given(R"("train": {"device": ""})"),
     R"(3: train.device: "" is no choice; choose auto | cuda | cpu)"},
    {"StringWithNul", given(R"("model": {"init": "a\u0000b"})"),
     "3: a string with a NUL or control character; remove the escape sequence"},
    {"StringWithNewline", given(R"("model": {"init": "a\nb"})"),
     "3: a string with a NUL or control character; remove the escape sequence"},
    {"KeyWithNewline", given(R"("mo\ndel": 3)"),
     "3: a string with a NUL or control character; remove the escape sequence"},
    {"DataRootMissing", R"({"data": {"kind": "synthetic"}})",
     " data.root: empty, but data.kind synthetic needs it; name the folder of the data set"},
    {"CsvWithoutTrain", "{\"data\": {\n  \"classes\": [\"a\", \"b\"],\n  \"val\": \"v.csv\"}}",
     " data.train: empty, but data.kind csv needs it; name the training manifest"},
    {"CsvWithoutVal", "{\"data\": {\n  \"classes\": [\"a\", \"b\"],\n  \"train\": \"t.csv\"}}",
     " data.val: empty, but data.kind csv needs it; name the validation manifest or set "
     "data.split.by to subject or split"},
    {"CsvWithoutClasses", R"({"data": {"train": "t.csv", "val": "v.csv"}})",
     " data.classes: empty, but data.kind csv needs it; name the classes in the set's order"},
    {"CsvWithValAndSplit",
     "{\"data\": {\"train\": \"t.csv\",\n \"val\": \"v.csv\",\n \"classes\": [\"a\", \"b\"],\n "
     "\"split\": {\"by\": \"subject\"}}}",
     "2: data.val: given although data.split.by is subject; remove one of them"},
    {"SplitOfSynthetic",
     "{\"data\": {\"kind\": \"synthetic\", \"root\": \"f\",\n \"split\": {\"by\": \"subject\"}}}",
     "2: data.split.by: subject needs data.kind csv; set it to none (synthetic has its own "
     "validation set)"},
    {"ManifestOfSynthetic",
     "{\"data\": {\"kind\": \"synthetic\", \"root\": \"f\",\n \"train\": \"t.csv\"}}",
     "2: data.train: given, but data.kind synthetic reads data.root; remove it or set data.kind to "
     "csv"},
    {"OneClass", "{\"data\": {\"train\": \"t.csv\", \"val\": \"v.csv\",\n \"classes\": [\"a\"]}}",
     "2: data.classes: 1 class; name at least 2"},
    {"ClassTwice",
     "{\"data\": {\"train\": \"t.csv\", \"val\": \"v.csv\",\n \"classes\": [\"a\", \"b\", \"a\"]}}",
     R"(2: data.classes: "a" stands twice; name every class once)"},
    {"ClassEmpty",
     "{\"data\": {\"train\": \"t.csv\", \"val\": \"v.csv\",\n \"classes\": [\"a\", \"\"]}}",
     "2: data.classes: an empty name; name every class"},
    {"ClassesOfAffectNet",
     "{\"data\": {\"kind\": \"affectnet_npy\", \"root\": \"f\",\n \"classes\": [\"a\", \"b\"]}}",
     "2: data.classes: 2 names, but AffectNet has 8 classes (7 without Contempt); leave "
     "data.classes out or name 7 or 8"},
    {"ClassesOfSynthetic",
     "{\"data\": {\"kind\": \"synthetic\", \"root\": \"f\",\n \"classes\": [\"a\", \"b\"]}}",
     "2: data.classes: 2 names, but the synthetic faces have 8 classes; leave data.classes out or "
     "name 8"},
    {"RangeDownwards", given(R"("augment": {"scale": [1.2, 1]})"),
     "3: augment.scale: [1.2, 1] runs downwards; put the smaller number first"},
    {"SwaAfterTheEnd",
     given("\"train\": {\"epochs\": 4},\n  \"swa\": {\"enabled\": true, \"start_epoch\": 5}"),
     R"(4: swa.start_epoch: 5 is after the last of 4 epochs; give 1 to 4 or "auto")"},
    {"SelectSwaWithout", given(R"("train": {"select": "swa"})"),
     "3: train.select: swa needs averaged weights; set swa.enabled to true"},
    {"WarmupTooLong", given("\"train\": {\"epochs\": 1},\n  \"schedule\": {\"warmup_steps\": 95}"),
     "4: schedule.warmup_steps: 95 is more than the 94 steps of the run; lower it or raise "
     "train.epochs"},
    {"MinLrAboveLr", given(R"("schedule": {"min_lr": 0.1})"),
     "3: schedule.min_lr: 0.1 is above optimizer.lr 0.001; lower it"},
    {"NoLossAtAll", given(R"("loss": {"ce": 0, "cs": 0, "l2": 0})"),
     "3: loss.ce: every loss coefficient is 0; give one of loss.ce, loss.cs, loss.l2 above 0"},
    {"Fp16OnCpu", given(R"("train": {"device": "cpu", "precision": "fp16"})"),
     "3: train.precision: fp16 needs a CUDA device; set it to fp32 or bf16, or train.device to "
     "cuda"},
    {"NameIsAPath", given(R"("output": {"name": "../x"})"),
     R"(3: output.name: "../x" is no plain name; set output.dir for another folder)"},
    {"DirEmpty", given(R"("output": {"dir": ""})"),
     R"(3: output.dir: empty; name a folder, "." is the current one)"},
};

TEST(ConfigRefusals, EachWrongKeyOrValueGivesItsLine) {
  for (const Refusal& r : kRefusals) EXPECT_EQ(error_of(r.text), "a.json:" + r.error) << r.name;
  EXPECT_GE(kRefusals.size(), 60u);
}

TEST(ConfigRefusals, LongThingsAreCut) {
  EXPECT_EQ(error_of(given("\"" + std::string(300, 'k') + "\": 3")),
            "a.json:3: " + std::string(80, 'k') +
                "...: unknown key; choose from data, noise, label_model, fusion, augment, model, "
                "loss, optimizer, schedule, swa, train, output, calibration");
  EXPECT_EQ(error_of(given("\"train\": {\"seed\": " + std::string(60, '9') + "}")),
            "a.json:3: train.seed: " + std::string(40, '9') +
                "... is out of range; give an integer from 0 to 9007199254740991");
  EXPECT_EQ(error_of(given("\"model\": {\"init\": \"" + std::string(5000, 'a') + "\"}")),
            "a.json:3: model.init: a string of 5000 bytes is too long; give at most 4096");
  EXPECT_EQ(error_of(given("\"train\": {\"device\": \"" + std::string(5000, 'a') + "\"}")),
            "a.json:3: train.device: \"" + std::string(60, 'a') +
                "...\" is no choice; choose auto | cuda | cpu");
  std::string classes = "\"0\"";
  for (int i = 1; i < 33; ++i) classes += ", \"" + std::to_string(i) + "\"";
  EXPECT_EQ(error_of("{\"data\": {\"classes\": [" + classes + "]}}"),
            "a.json:1: data.classes: an array of 33 strings; give at most 32");
}

TEST(ConfigRefusals, WhatStandsAtTheEdgeIsAccepted) {
  const Config c = parse_config(
      given(R"("noise": {"rate": 1}, "fusion": {"alpha": 0}, "optimizer": {"beta1": 0, "lr": 10},
               "train": {"seed": 9007199254740991, "epochs": 1, "batch_size": 65535},
               "label_model": {"trim": 1e-300}, "augment": {"scale": [1, 1]})"),
      "a.json");
  EXPECT_EQ(c.train.seed, 9007199254740991u);
  EXPECT_EQ(c.fusion.alpha, 0.0);
  EXPECT_EQ(c.label_model.trim, 1e-300);
}

}  // namespace
}  // namespace affuse
