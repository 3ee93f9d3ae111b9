// Calls on files that fail on demand: the n-th write of one file, the fsync of one folder.
#pragma once
#include <string>
#include <vector>

namespace affuse::faults {

/// One call that fails.
struct Fault {
  std::string call;  ///< open (for writing), read (an open for reading), write, fsync, close,
                     ///< rename, link, unlink, mkdir; statvfs: no error, but no free space
  std::string name;  ///< of the file below Plan::root, "." for the root itself; a rename's source
  int nth = 1;       ///< which of these calls, from 1
  int error = 0;     ///< errno; 0: a write that takes half of the bytes
};

struct Plan {
  std::string root;  ///< absolute; calls on files elsewhere do not count
  std::string log;   ///< a file that gets a line "CALL NAME" for every call, "FAULT ..." for faults
  std::vector<Fault> faults;
};

/// From now on, through libfiu; calls are counted anew.
void arm(const Plan& plan);
/// Ends it. Returns how many faults have struck.
int disarm();

}  // namespace affuse::faults
