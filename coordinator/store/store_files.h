// The names in the store's folder, and two sentences that opening and verifying share. This room's
// files alone.
#pragma once

#include <filesystem>
#include <string>

#include "common/base/result.h"

namespace overwinter::store {

struct StoreFiles {
  explicit StoreFiles(const std::filesystem::path& folder)
      : log((folder / "log.db").string()),
        projection((folder / "projection.db").string()),
        reserve(folder / "reserve"),
        witness(folder / "committed") {}
  std::string log;
  std::string projection;
  std::filesystem::path reserve;
  std::filesystem::path witness;

  // Derived, so that removing it loses nothing.
  void remove_projection() const { remove_database(projection); }
  static void remove_database(const std::string& path) {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::error_code ignored;  // what cannot be removed is found when it is opened
      std::filesystem::remove(path + suffix, ignored);
    }
  }
};

[[nodiscard]] inline Status other_log(std::uint64_t turn) {
  return error(Code::kDataLoss,
               "turn " + std::to_string(turn) +
                   " is not the one that the projection was made from: the log was changed or "
                   "replaced",
               "turn",
               "if the log was restored on purpose, remove projection.db, its -wal and -shm, and "
               "committed");
}

[[nodiscard]] inline Status log_lost_its_end(std::uint64_t has, std::uint64_t had) {
  return error(Code::kDataLoss,
               "the log ends at turn " + std::to_string(has) + ", but turn " + std::to_string(had) +
                   " was durable: its end is lost",
               "turn",
               "restore the newest backup; if the log was restored on purpose, remove "
               "projection.db, its -wal and -shm, and committed");
}

}  // namespace overwinter::store
