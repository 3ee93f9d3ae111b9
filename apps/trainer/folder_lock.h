// Who may write in a run folder.
#pragma once
#include <string>

namespace affuse {

/// The file in a run folder that its writer holds locked; it names the writer.
inline constexpr const char* kFolderLock = "run.lock";

/// Locks the folder and returns the lock's descriptor, negative where another process holds it. The
/// lock ends with the process. Throws FileError.
int try_lock(const std::string& folder);

/// The same, but throws ConfigError naming who holds it.
int lock_folder(const std::string& folder);

}  // namespace affuse
