#include "coordinator/app/admin_token.h"

#include <algorithm>

#include "common/base/clock.h"
#include "common/security/file_io.h"
#include "common/security/token.h"
#include "coordinator/app/data_folder.h"
#include "coordinator/backup/restore.h"
#include "coordinator/core/scheduler.h"
#include "coordinator/store/store.h"

namespace overwinter::app {

core::TokenCreateRequested admin_token_event(const std::string& token) {
  core::TokenCreateRequested event;
  event.hash = token_hash(token);
  event.role = Role::kAdmin;
  event.name = "admin";
  return event;
}

Result<std::string> make_admin_token(const Config& config) {
  const DataFolder folder(config.data_dir);
  if (Status status = backup::not_being_restored(config.data_dir); !status.ok()) {
    return fail(std::move(status));
  }
  store::StoreConfig of_store;
  of_store.folder = folder.store();
  auto store = store::open_store(of_store);
  if (!store) return fail(store.error());
  auto state = (*store)->restore();
  if (!state) return fail(state.error());
  if (state->cluster.empty()) {
    return fail(Code::kFailedPrecondition, "no coordinator has ever run on this folder", {},
                "start it: the first start writes an admin token");
  }
  const Time now = std::max(Time(system_clock().wall()), state->last_time);
  core::Scheduler scheduler(core::SchedulerConfig{}, std::move(*state));
  const std::string token = make_token();
  core::Outcome outcome;
  scheduler.step(now, admin_token_event(token), outcome);
  if (Status status = write_file_atomically(folder.admin_token(), token + "\n"); !status.ok()) {
    return fail(std::move(status));
  }
  const store::TurnRef turn{now, outcome.facts};
  if (Status status = (*store)->append_and_commit({&turn, 1}); !status.ok()) {
    return fail(std::move(status));
  }
  return folder.admin_token().string();
}

}  // namespace overwinter::app
