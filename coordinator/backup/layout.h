// The parts of a data folder that a backup knows, and what they are called in it: the members of a
// backup have the names that they have in the folder (coordinator/app/data_folder.h).
#pragma once

namespace overwinter::backup {

inline constexpr const char* kStoreFolder = "store";
inline constexpr const char* kArtifactFolder = "artifacts";
inline constexpr const char* kTelemetryFolder = "telemetry";
inline constexpr const char* kAuthorityFolder = "ca";
inline constexpr const char* kSecretsFolder = "secrets";
inline constexpr const char* kSecretsKeyFile = "secrets.key";
inline constexpr const char* kAdminTokenFile = "admin.token";
// While it is there, the folder is being restored and nothing may serve from it.
inline constexpr const char* kRestoreFolder = "restore.part";

inline constexpr const char* kLogMember = "store/log.db";
inline constexpr const char* kKeysMember = "keys.sealed";

}  // namespace overwinter::backup
