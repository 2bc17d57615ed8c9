// Coordinator: builds every object, wires them, starts and stops them. The only place that knows
// all rooms.
#pragma once

#include <memory>

#include "common/base/result.h"
#include "coordinator/app/config.h"

namespace overwinter::app {

class Coordinator {
 public:
  // Opens the store (replaying it), the artifact store and the certificate authority, makes what a
  // first start needs, opens the ports. Errors are one sentence for the terminal.
  [[nodiscard]] static Result<std::unique_ptr<Coordinator>> start(const Config& config);
  ~Coordinator();

  // Ends uploads that have sent nothing for a minute and gives their space back. To be called every
  // minute.
  void end_idle_uploads();
  // Forgets logs and curves that have been silent for 30 days. To be called now and then.
  void forget_old_logs();
  // Renews certificates that are due. To be called now and then.
  void look_after_certificates();
  // Takes nothing new, answers what is under way, commits what was stepped. Within about three
  // seconds.
  void stop();

 private:
  struct Impl;
  explicit Coordinator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// `--new-admin-token`: offline, for the folder's owner. Returns the file that holds it.
[[nodiscard]] Result<std::string> make_admin_token(const Config& config);
// `--verify`: prints what was compared. OK when nothing differs.
Status verify(const Config& config);

}  // namespace overwinter::app
