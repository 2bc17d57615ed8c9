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
  // Looks whether the operator's certificate of the page was renewed. To be called every hour.
  void look_at_page_certificate();
  // Looks at notify.yaml and that certificate at once.
  void reload();
  // Takes nothing new, answers what is under way, commits what was stepped. Within about three
  // seconds.
  void stop();

 private:
  struct Impl;
  explicit Coordinator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace overwinter::app
