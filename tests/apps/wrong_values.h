// Configurations that are JSON but wrong, each with the line that refuses it: unknown keys, types,
// ranges, choices, keys against each other.
#pragma once
#include <string>
#include <vector>

namespace affuse::test {

/// What docs/config.schema.json, in an editor, says of the same file.
enum class SchemaSays { refuses, accepts, no_json };

struct WrongConfig {
  std::string name, text, error;  ///< error: behind "FILE:"
  SchemaSays schema = SchemaSays::refuses;
};

/// A whole file with `rest` on line 3.
inline std::string given(const std::string& rest) {
  return "{\n  \"data\": {\"kind\": \"synthetic\", \"root\": \"faces\"},\n  " + rest + "\n}\n";
}

inline std::string numbers(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += (i == 0 ? "\"" : ", \"") + std::to_string(i) + "\"";
  return out;
}

inline std::string many_keys() {
  std::string text = "{";
  for (int i = 0; i < 2000; ++i) text += "\"k" + std::to_string(i) + "\": 1,\n";
  return text + "\"k\": 1}";
}

inline const std::vector<WrongConfig> kWrongValues = {
    {"TopLevelArray", "[1, 2]", R"(1: the top level is an array; write an object {"data": ...})"},
    {"TopLevelNumber", "\n5", R"(2: the top level is 5; write an object {"data": ...})"},
    {"KeySwap", given(R"("fusion": {"alhpa": 0.5})"),
     "3: fusion.alhpa: unknown key; did you mean fusion.alpha?"},
    {"KeyInTheWrongSection", given(R"("loss": {"alhpa": 0.5})"),
     "3: loss.alhpa: unknown key; did you mean fusion.alpha?"},
    {"KeyOfAnotherSection", given(R"("train": {"lr": 0.1})"),
     "3: train.lr: unknown key; did you mean optimizer.lr?"},
    {"KeyCase", given(R"("train": {"Epochs": 3})"),
     "3: train.Epochs: unknown key; did you mean train.epochs?"},
    {"KeyFar", given(R"("swa": {"bananas": 3})"),
     "3: swa.bananas: unknown key; choose from swa: enabled, start_epoch, lr"},
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
     "6: train.epochs: duplicate key (first on line 4); remove one of them", SchemaSays::accepts},
    {"DuplicateSection", given("\"train\": {\"epochs\": 3},\n  \"train\": {\"seed\": 3}"),
     "4: train: duplicate key (first on line 3); remove one of them", SchemaSays::accepts},
    {"DuplicateByEscape", given(R"("train": {"epochs": 3, "\u0065pochs": 4})"),
     "3: train.epochs: duplicate key (first on line 3); remove one of them", SchemaSays::accepts},
    {"SectionIsNumber", given(R"("fusion": 3)"),
     "3: fusion: 3 is of the wrong type; give an object with alpha"},
    {"SectionIsNull", given(R"("swa": null)"),
     "3: swa: null is of the wrong type; give an object with enabled, start_epoch, lr"},
    {"SectionIsArray", given(R"("augment": {"erase": [0.5]})"),
     "3: augment.erase: an array is of the wrong type; give an object with p, area, ratio"},
    {"RealForInteger", given(R"("train": {"epochs": 1.0})"),
     "3: train.epochs: 1.0 is of the wrong type; give an integer from 1 to 100000 without a "
     "fraction or exponent",
     SchemaSays::accepts},
    {"ExponentForInteger", given(R"("train": {"epochs": 1e2})"),
     "3: train.epochs: 1e2 is of the wrong type; give an integer from 1 to 100000 without a "
     "fraction or exponent",
     SchemaSays::accepts},
    {"StringForInteger", given(R"("train": {"epochs": "3"})"),
     R"(3: train.epochs: the string "3" is of the wrong type; give an integer from 1 to 100000; JSON writes numbers as 7, 0.5 or 1e-3, without quotes)"},
    {"BoolForInteger", given(R"("train": {"epochs": true})"),
     "3: train.epochs: true is of the wrong type; give an integer from 1 to 100000"},
    {"NullForInteger", given(R"("train": {"epochs": null})"),
     "3: train.epochs: null is of the wrong type; give an integer from 1 to 100000"},
    {"StringForReal", given(R"("optimizer": {"lr": "0.1"})"),
     R"(3: optimizer.lr: the string "0.1" is of the wrong type; give a number above 0 and at most 10; JSON writes numbers as 7, 0.5 or 1e-3, without quotes)"},
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
     "3: augment.scale: an array of 1 value; give an array of 2 numbers above 0 and at most 10"},
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
    {"HugeReal", given(R"("optimizer": {"lr": 1e400})"),
     "3: column 27: number overflow parsing '1e400'; write a number that fits into 64 bits"},
    {"HugeNegativeReal", given("\"optimizer\": {\n    \"lr\": -1e400}"),
     "4: column 16: number overflow parsing '-1e400'; write a number that fits into 64 bits"},
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
     R"(3: model.init: "a\u0000b" holds a control character; remove the escape sequence)"},
    {"StringWithNewline", given(R"("model": {"init": "a\nb"})"),
     R"(3: model.init: "a\u000ab" holds a control character; remove the escape sequence)"},
    {"ClassWithEscape", given(R"("noise": {"mode": ["\u001b[2J"]})"),
     R"(3: noise.mode: "\u001b[2J" holds a control character; remove the escape sequence)"},
    {"KeyWithNewline", given(R"("mo\ndel": 3)"),
     R"(3: the key "mo\u000adel" holds a control character; remove the escape sequence)"},
    {"SeedOf2To53", given(R"("train": {"seed": 9007199254740992})"),
     "3: train.seed: 9007199254740992 is out of range; give an integer from 0 to "
     "9007199254740991"},
    {"BelowEveryReal", given(R"("optimizer": {"lr": 1e-400})"),
     "3: optimizer.lr: 1e-400 is out of range; give a number above 0 and at most 10"},
    {"MinusZero", given(R"("optimizer": {"lr": -0.0})"),
     "3: optimizer.lr: -0.0 is out of range; give a number above 0 and at most 10"},
    {"ArrayForSwitch", given(R"("swa": {"enabled": [true]})"),
     "3: swa.enabled: an array is of the wrong type; give true or false"},
    {"TooManyClasses",
     R"({"data": {"kind": "synthetic", "root": "f", "classes": [)" + numbers(33) + "]}}",
     "1: data.classes: an array of 33 strings; give at most 32"},
    {"TextTooLong", given("\"model\": {\"init\": \"" + std::string(5000, 'a') + "\"}"),
     "3: model.init: a string of 5000 bytes is too long; give at most 4096"},
    {"CarriageReturnsCount", "{\r\n\"train\":\r\n{\"epochs\": 0}\r\n}\r\n",
     "3: train.epochs: 0 is out of range; give an integer from 1 to 100000"},
    {"KeysWithoutEnd", many_keys(), "1001: more keys than any configuration has; remove some"},
};

/// Each key is fine by itself.
inline const std::vector<WrongConfig> kWrongTogether = {
    {"DataRootMissing", R"({"data": {"kind": "synthetic"}})",
     " data.root: empty, but data.kind synthetic needs it; name the folder of the data set",
     SchemaSays::accepts},
    {"CsvWithoutTrain", "{\"data\": {\n  \"classes\": [\"a\", \"b\"],\n  \"val\": \"v.csv\"}}",
     " data.train: empty, but data.kind csv needs it; name the training manifest",
     SchemaSays::accepts},
    {"CsvWithoutVal", "{\"data\": {\n  \"classes\": [\"a\", \"b\"],\n  \"train\": \"t.csv\"}}",
     " data.val: empty, but data.kind csv needs it; name the validation manifest or set "
     "data.split.by to subject or split",
     SchemaSays::accepts},
    {"CsvWithoutClasses", R"({"data": {"train": "t.csv", "val": "v.csv"}})",
     " data.classes: empty, but data.kind csv needs it; name the classes in the set's order",
     SchemaSays::accepts},
    {"CsvWithValAndSplit",
     "{\"data\": {\"train\": \"t.csv\",\n \"val\": \"v.csv\",\n \"classes\": [\"a\", \"b\"],\n "
     "\"split\": {\"by\": \"subject\"}}}",
     "2: data.val: given although data.split.by is subject; remove one of them",
     SchemaSays::accepts},
    {"SplitOfSynthetic",
     "{\"data\": {\"kind\": \"synthetic\", \"root\": \"f\",\n \"split\": {\"by\": \"subject\"}}}",
     "2: data.split.by: subject needs data.kind csv; set it to none (synthetic has its own "
     "validation set)",
     SchemaSays::accepts},
    {"ManifestOfSynthetic",
     "{\"data\": {\"kind\": \"synthetic\", \"root\": \"f\",\n \"train\": \"t.csv\"}}",
     "2: data.train: given, but data.kind synthetic reads data.root; remove it or set data.kind to "
     "csv",
     SchemaSays::accepts},
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
     "data.classes out or name 7 or 8",
     SchemaSays::accepts},
    {"ClassesOfSynthetic",
     "{\"data\": {\"kind\": \"synthetic\", \"root\": \"f\",\n \"classes\": [\"a\", \"b\"]}}",
     "2: data.classes: 2 names, but the synthetic faces have 8 classes; leave data.classes out or "
     "name 8",
     SchemaSays::accepts},
    {"RangeDownwards", given(R"("augment": {"scale": [1.2, 1]})"),
     "3: augment.scale: [1.2, 1] runs downwards; put the smaller number first",
     SchemaSays::accepts},
    {"SwaAfterTheEnd",
     given("\"train\": {\"epochs\": 4},\n  \"swa\": {\"enabled\": true, \"start_epoch\": 5}"),
     R"(4: swa.start_epoch: 5 is after the last of 4 epochs; give 1 to 4 or "auto")",
     SchemaSays::accepts},
    {"SwaWhileFrozen",
     given("\"train\": {\"epochs\": 4, \"freeze_epochs\": 2},\n  \"swa\": {\"enabled\": true, "
           "\"start_epoch\": 1}"),
     "4: swa.start_epoch: 1 is among the 2 frozen epochs; give a later one, freeze fewer "
     "(train.freeze_epochs) or set swa.enabled to false",
     SchemaSays::accepts},
    {"MixupOfOne", given(R"("augment": {"mixup": 0.2}, "train": {"batch_size": 1})"),
     "3: augment.mixup: 0.2 blends pairs, but train.batch_size is 1; raise it to 2 or set "
     "augment.mixup to 0",
     SchemaSays::accepts},
    {"SelectSwaWithout", given(R"("train": {"select": "swa"})"),
     "3: train.select: swa needs averaged weights; set swa.enabled to true", SchemaSays::accepts},
    {"WarmupTooLong", given("\"train\": {\"epochs\": 1},\n  \"schedule\": {\"warmup_steps\": 95}"),
     "4: schedule.warmup_steps: 95 is more than the 94 steps of the run; lower it or raise "
     "train.epochs",
     SchemaSays::accepts},
    {"MinLrAboveLr", given(R"("schedule": {"min_lr": 0.1})"),
     "3: schedule.min_lr: 0.1 is above optimizer.lr 0.001; lower it", SchemaSays::accepts},
    {"NoLossAtAll", given(R"("loss": {"ce": 0, "cs": 0, "l2": 0})"),
     "3: loss.ce: every loss coefficient is 0; give one of loss.ce, loss.cs, loss.l2 above 0",
     SchemaSays::accepts},
    {"Fp16OnCpu", given(R"("train": {"device": "cpu", "precision": "fp16"})"),
     "3: train.precision: fp16 needs a CUDA device; set it to fp32 or bf16, or train.device to "
     "cuda",
     SchemaSays::accepts},
    {"NameIsAPath", given(R"("output": {"name": "../x"})"),
     R"(3: output.name: "../x" is no plain name; set output.dir for another folder)",
     SchemaSays::accepts},
    {"DirEmpty", given(R"("output": {"dir": ""})"),
     R"(3: output.dir: empty; name a folder, "." is the current one)", SchemaSays::accepts},
};

}  // namespace affuse::test
