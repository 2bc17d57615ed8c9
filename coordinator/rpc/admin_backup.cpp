// AdminService: a backup, taken while the coordinator runs.
#include <chrono>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "common/security/passphrase_seal.h"
#include "coordinator/rpc/admin_service.h"
#include "coordinator/rpc/byte_stream.h"
#include "coordinator/runtime/audit.h"

namespace overwinter::rpc {
namespace {

class BackupSource final : public ByteSource {
 public:
  explicit BackupSource(std::unique_ptr<backup::Backup> backup) : backup_(std::move(backup)) {}
  // Its end is here, on the pool and before the reader hears of it: the next one may begin then.
  Result<std::size_t> next(std::span<std::byte> out) override {
    if (!backup_) return std::size_t{0};
    auto got = backup_->next(out);
    if (!got || backup_->done()) backup_.reset();
    return got;
  }
  // How much is known at the end alone: pieces are full until then.
  std::uint64_t bytes_left() const override {
    return backup_ ? std::numeric_limits<std::uint64_t>::max() : 0;
  }

 private:
  std::unique_ptr<backup::Backup> backup_;
};

// So that a restore bills what was used until the backup. Without an answer (the coordinator is
// stopping) the backup is as good, but for that.
void keep_use(ServiceContext& context) {
  constexpr std::chrono::seconds kPatience{10};
  auto kept = std::make_shared<std::promise<void>>();
  auto done = kept->get_future();
  context.requests.ask(core::UseKeptRequested{}, [kept](const core::Reply&) { kept->set_value(); });
  (void)done.wait_for(kPatience);
}

// It leaves the cluster with whoever asked: a line of the audit, though it changes nothing here.
void tell_backup(ServiceContext& context, const Principal& by, bool with_keys) {
  auto event = runtime::audit_event(&by, context.now());
  event.action = "backup.create";
  event.object = "clusters/" + context.views.cluster()->cluster;
  event.after = with_keys ? "with keys" : "without keys";
  context.audit.decided(std::move(event));
}

}  // namespace

grpc::ServerWriteReactor<v1::BackupPart>* AdminService::CreateBackup(
    Call* call, const v1::CreateBackupRequest* request) {
  using Refused = RefusedStream<v1::BackupPart>;
  const auto caller = context_.authorizer->caller(*call, Permission::kManageTokens);
  if (!caller) return new Refused(caller.error());
  if (!caller->project.empty()) {
    return new Refused(
        error(Code::kPermissionDenied,
              "a backup holds every project; this token is for project " + caller->project));
  }
  if (!request->passphrase().empty()) {
    if (Status status = check_passphrase(request->passphrase()); !status.ok())
      return new Refused(status);
  }
  auto passphrase = std::make_shared<std::string>(request->passphrase());
  return new ByteStream<v1::BackupPart>(
      context_, *caller,
      [this, passphrase,
       by = *caller](v1::BackupPart& first) -> Result<std::unique_ptr<ByteSource>> {
        const bool with_keys = !passphrase->empty();
        keep_use(context_);
        auto backup = backups_.begin(*passphrase);
        wipe(*passphrase);
        if (!backup) return fail(std::move(backup.error()));
        tell_backup(context_, by, with_keys);
        first.set_total_bytes((*backup)->total_bytes());
        return std::make_unique<BackupSource>(std::move(*backup));
      });
}

}  // namespace overwinter::rpc
