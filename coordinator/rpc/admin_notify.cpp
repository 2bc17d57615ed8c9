// AdminService: tests of hooks.
#include <utility>

#include "coordinator/rpc/admin_service.h"
#include "coordinator/rpc/unary.h"

namespace overwinter::rpc {

Unary* AdminService::TestNotification(Call* call, const v1::TestNotificationRequest* request,
                                      v1::TestNotificationResponse* response) {
  return answer_later(
      context_, call, Permission::kManageProjects,
      [&](const Principal& caller, Unary* reactor) -> Status {
        // Hooks are the cluster's.
        if (!caller.project.empty()) {
          return error(Code::kPermissionDenied, "hooks are of all projects", {},
                       "an admin's token of all projects may test them");
        }
        notices_.test(request->hook(),
                      [reactor, response](const Result<std::vector<notify::Delivery>>& answer) {
                        if (!answer) return finish(reactor, answer.error());
                        for (const notify::Delivery& one : *answer) {
                          auto& delivery = *response->add_deliveries();
                          delivery.set_hook(one.hook);
                          delivery.set_delivered(one.delivered);
                          delivery.set_message(one.message);
                        }
                        finish(reactor, Status::success());
                      });
        return Status::success();
      });
}

}  // namespace overwinter::rpc
