// The one hierarchy of errors. The library throws them and never prints, exits or aborts.
#pragma once
#include <stdexcept>
#include <string>

namespace affuse {

/// Base of every error that affuse throws. what() is one line: place, what is wrong, what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An unusable configuration or command line (exit status 2).
class ConfigError : public Error {
 public:
  using Error::Error;
};

/// A data set, manifest, image or table that cannot be read (exit status 1).
class DataError : public Error {
 public:
  using Error::Error;
};

/// A file or folder that cannot be written (exit status 1).
class FileError : public Error {
 public:
  using Error::Error;
};

/// A weights file or checkpoint that cannot be read, written or does not fit the model.
class WeightsError : public Error {
 public:
  using Error::Error;
};

/// A device or vendor library that refused; the message carries its status.
class DeviceError : public Error {
 public:
  using Error::Error;
};

}  // namespace affuse
