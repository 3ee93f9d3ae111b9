// Runs affuse while calls on files below FOLDER/run fail.
#pragma once
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "tests/apps/run_affuse.h"
#include "tests/faults/calls/fault.h"

namespace affuse::test {

using faults::Fault;

/// How affuse is started with `faults` below FOLDER + `root`; `log` as in faults::Plan.
inline Launch under(const Folder& folder, const std::vector<Fault>& faults,
                    const std::string& log = {}, const std::string& root = "/run") {
  std::string text;
  for (const Fault& f : faults)
    text +=
        f.call + " " + std::to_string(f.nth) + " " + std::to_string(f.error) + " " + f.name + "\n";
  const char* options = std::getenv("ASAN_OPTIONS");
  return {{},
          {{"LD_PRELOAD", AFFUSE_FAULT_PRELOAD},
           // AddressSanitizer wants to be the first library; here it may come behind ours.
           {"ASAN_OPTIONS",
            std::string(options != nullptr ? options : "") + ":verify_asan_link_order=0"},
           {"AFFUSE_FAULT_ROOT", std::filesystem::canonical(folder.path()).string() + root},
           {"AFFUSE_FAULT_LOG", log},
           {"AFFUSE_FAULTS", text}}};
}

inline Outcome affuse_by(const Launch& launch, const Folder& folder, const Arguments& arguments) {
  return Program(folder.path(), arguments, {}, launch).finish();
}

/// A training of two epochs with averaged weights in FOLDER/c.json, as small as can be.
inline void write_small_training(const Folder& folder) {
  affuse_ok(folder, {"synth", "--out", "faces", "--train", "16", "--val", "8", "--size", "32",
                     "--layout", "csv", "--quiet"});
  folder.write("c.json", R"({"data": {"kind": "csv", "image_size": 32, "train": "faces/train.csv",
      "val": "faces/val.csv", "classes": ["Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust",
      "Anger", "Contempt"]}, "label_model": {"kind": "onehot"}, "model": {"width": 0.25},
    "swa": {"enabled": true, "start_epoch": 2}, "output": {"keep": 2},
    "train": {"epochs": 2, "batch_size": 8, "log_every": 1, "device": "cpu", "threads": 1}})");
}

inline const Arguments kTrain = {"train", "c.json", "--out", "run"};
inline const Arguments kResume = {"train", "--resume", "run"};

inline nlohmann::json status_of(const Folder& folder, const std::string& run = "run") {
  return nlohmann::json::parse(read_text(folder / run + "/status.json"));
}

/// That the run ended in the bytes of the one in FOLDER/whole.
inline void expect_whole(const Folder& folder) {
  EXPECT_EQ(status_of(folder)["state"], "done");
  for (const char* name : {"checkpoints/last.safetensors", "checkpoints/best.safetensors",
                           "checkpoints/swa.safetensors", "checkpoints/epoch_002.safetensors",
                           "predictions.csv", "config.json", "labels.json", "skipped.csv"})
    EXPECT_TRUE(read_text(folder / "run/" + name) == read_text(folder / "whole/" + name)) << name;
  for (const char* name : {"metrics.csv", "steps.csv"})
    EXPECT_EQ(CsvTable::read(folder / "run/" + name).rows(),
              CsvTable::read(folder / "whole/" + name).rows())
        << name;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "run"))
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
}

}  // namespace affuse::test
