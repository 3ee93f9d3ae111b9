// Opens annotated image sets in the layouts that users have on disk (csv, AffectNet-8).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/sample.h"

namespace affuse {

/// Where a data set lies and how it is to be split.
struct DataSource {
  std::string kind;  ///< "csv" | "affectnet_npy"
  std::string root;  ///< affectnet_npy: its folder; csv: the images' folder (empty: each csv's own)
  std::string train;  ///< csv: the manifest, or the training half of two
  std::string val;    ///< csv: the validation manifest; empty: split `train` by column
  std::vector<std::string> classes;  ///< class names in the set's own order
  std::uint64_t seed = 0;            ///< of the split by subject
  double val_fraction = 0.2;         ///< share of the subjects that validate, in (0, 1)
  int threads = 1;                   ///< for reading annotation files
};

/// The two halves of a data set; never empty.
struct DataSplits {
  Manifest train;
  Manifest val;
};

/// Opens a data set by its kind. Throws ConfigError for an unknown kind, DataError for what the
/// files hold; the message names file, row and column.
DataSplits open_data(const DataSource& source);

/// csv: `path,class,valence,arousal[,subject][,split][,p_0..p_{K-1}]` with a header line, in two
/// files, or in one file split by its `split` column or else by `subject`.
DataSplits open_csv(const DataSource& source);

/// All rows of one csv, whatever their split. `classes` empty: the classes are the numbers 0..K-1
/// found in the file. `root` empty: the file's own folder.
Manifest read_csv_manifest(const std::string& path, std::vector<std::string> classes = {},
                           std::string root = {});

/// AffectNet-8 (or -7) of March 2021: `train_set/` and `val_set/` under source.root.
DataSplits open_affectnet_npy(const DataSource& source);

/// One half: `split` is "train_set" or "val_set". The images found are the samples, by id. With 7
/// class names the samples of Contempt are left out.
Manifest read_affectnet_npy(const std::string& root, const std::string& split,
                            const std::vector<std::string>& classes, int threads);

}  // namespace affuse
