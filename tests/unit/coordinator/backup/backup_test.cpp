// A backup of a real store and its files, and its way back: whole, or named and refused with
// nothing left. What a running cluster does meanwhile: tests/integration/backup_test.py.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "common/formats/digest.h"
#include "common/security/ca.h"
#include "common/security/file_io.h"
#include "coordinator/backup/backups.h"
#include "coordinator/backup/layout.h"
#include "coordinator/backup/restore.h"
#include "coordinator/store/store.h"
#include "tests/support/core_builders.h"
#include "tests/support/job_bytes.h"

namespace overwinter::backup {
namespace {

namespace fs = std::filesystem;
using namespace core::test;

constexpr const char* kPassphrase = "correct horse";
const Time kRestoredAt = time_from_unix_ms(1'796'000'000'000);

Digest blob_digest(const std::string& content) {
  formats::BlobDigester digester;
  digester.update(std::as_bytes(std::span(content)));
  return digester.finish();
}

// A data folder as a coordinator leaves it, with a store that is open.
class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    std::string pattern = "/dev/shm/ow-backup-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    data_ = root_ / "data";
    fs::create_directory(data_);
    fs::permissions(data_, fs::perms::owner_all);
    for (const char* folder : {"artifacts", "artifacts/blobs", "telemetry"}) make(folder);
    put("artifacts/FORMAT", "overwinter-artifacts 1\n");
    put("telemetry/FORMAT", "overwinter-telemetry 1\n");
    put("telemetry/default/job-1/curves", "points");
    put("admin.token", "ow_secret-token\n");
    authority_ = std::make_unique<CertificateAuthority>(
        std::move(*CertificateAuthority::create(data_ / "ca", "one", Time{kRestoredAt})));
    put("secrets.key", "the key of the secrets");
    put("secrets/0123abcd/HF_TOKEN", "hidden value");
    put("secrets/0123abcd/HF_TOKEN.new-x7", "on its way");
    open_store();
    files_ = std::move(
        *artifacts::HeldFiles::open(artifacts::posix_files(), (data_ / "artifacts").string()));
    backups_ = std::make_unique<Backups>(BackupsConfig{data_, "one", 0}, *files_,
                                         [] { return kRestoredAt; });
  }
  ~BackupTest() override {
    store_.reset();
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  void make(const std::string& folder) { fs::create_directories(data_ / folder); }
  void put(const std::string& name, const std::string& content) {
    fs::create_directories((data_ / name).parent_path());
    ASSERT_TRUE(write_file_atomically(data_ / name, content).ok());
  }
  // A blob of the project "default"; its place in the data folder.
  std::string put_blob(const std::string& content) {
    const std::string project = "default";
    const std::string name = "artifacts/blobs/" +
                             to_hex(formats::sha256(std::as_bytes(std::span(project)))) + "/" +
                             to_hex(blob_digest(content));
    put(name, content);
    return name;
  }
  JobId submit_product(const std::string& a, const std::string& b) {
    core::JobSubmitted event = a_job().with_units(4).build();
    event.spec = std::make_shared<const std::string>();
    event.alternatives[0].plan =
        std::make_shared<const std::string>(test::matmul_plan(blob_digest(a), blob_digest(b)));
    cluster_.step(event);
    return cluster_.last<core::Reply>().job;
  }
  void open_store() {
    store::StoreConfig config;
    config.folder = data_ / "store";
    config.reserve_bytes = 0;
    config.room_min_bytes = 0;
    store_ = std::move(*store::open_store(config));
    ASSERT_TRUE(store_->restore().has_value());
  }
  void save() {
    for (; saved_ < cluster_.log.size(); ++saved_) {
      const auto& [time, fact] = cluster_.log[saved_];
      const store::TurnRef turn{time, {&fact, 1}};
      ASSERT_TRUE(store_->append_and_commit({&turn, 1}).ok());
    }
  }
  static Result<std::string> rest_of(Backup& backup, std::size_t piece) {
    std::string out;
    for (;;) {
      std::vector<std::byte> bytes(piece);
      const auto got = backup.next(bytes);
      if (!got) return fail(got.error());
      out.append(reinterpret_cast<const char*>(bytes.data()), *got);
      if (*got < bytes.size()) return out;
    }
  }
  Result<std::string> take(std::string_view passphrase = {}, std::size_t piece = 1 << 20) {
    auto backup = backups_->begin(passphrase);
    if (!backup) return fail(backup.error());
    return rest_of(**backup, piece);
  }
  Result<Restored> restore(const std::string& backup, const std::string& passphrase = {}) {
    EXPECT_TRUE(write_file_atomically(root_ / "file.backup", backup).ok());
    RestoreOptions options;
    options.file = root_ / "file.backup";
    options.data_dir = root_ / "new";
    options.passphrase = [this, passphrase] {
      ++asked_;
      return Result<std::string>(passphrase);
    };
    options.now = kRestoredAt;
    return restore_backup(options);
  }
  // After a refusal: an empty folder, or none.
  void expect_nothing_left() {
    EXPECT_TRUE(!fs::exists(root_ / "new") || fs::is_empty(root_ / "new"));
  }
  [[nodiscard]] std::string restored_file(const std::string& name) const {
    const auto text = read_file(root_ / "new" / name, std::size_t{1} << 24);
    return text ? *text : text.error().message;
  }

  fs::path root_;
  fs::path data_;
  TestCluster cluster_;
  std::size_t saved_ = 0;
  std::unique_ptr<CertificateAuthority> authority_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<artifacts::HeldFiles> files_;
  std::unique_ptr<Backups> backups_;
  int asked_ = 0;
};

TEST_F(BackupTest, ComesBackAsANewGenerationWithWhatItsJobsNeed) {
  const WorkerId worker = cluster_.joined(a_worker());
  const std::string a = put_blob("matrix A");
  const std::string b = put_blob(std::string(3 << 20, 'b'));
  const std::string unused = put_blob("nobody reads it");
  const JobId job = submit_product("matrix A", std::string(3 << 20, 'b'));
  cluster_.land(cluster_.seat(job), units(0, 2));
  put("artifacts/results/1/tiles", "tiles");
  put("artifacts/results/99/tiles", "of a job that the log does not know");
  put("artifacts/checkpoints/1/1-100/manifest", "whole");
  put("artifacts/checkpoints/1/1-100/abc", "shard");
  put("artifacts/checkpoints/1/1-200/def", "on its way");
  put("artifacts/archives/3.part", "on its way");
  save();
  const auto backup = take();
  ASSERT_TRUE(backup.has_value()) << backup.error().message;
  EXPECT_FALSE(fs::exists(data_ / "store" / "backup.db"));
  EXPECT_EQ(backup->find("ow_secret-token"), std::string::npos);
  EXPECT_EQ(backup->find("PRIVATE KEY"), std::string::npos);

  const auto restored = restore(*backup);
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  EXPECT_EQ(asked_, 0);
  EXPECT_EQ(restored->manifest.cluster, "one");
  EXPECT_EQ(restored->manifest.turn, cluster_.log.size());
  EXPECT_EQ(restored->generation.number, 2U);
  EXPECT_EQ(restored->jobs_requeued, 1U);
  EXPECT_EQ(restored->workers, 1U);
  EXPECT_EQ(restored_file(a), "matrix A");
  EXPECT_EQ(restored_file(b), std::string(3 << 20, 'b'));
  EXPECT_EQ(restored_file("artifacts/results/1/tiles"), "tiles");
  EXPECT_EQ(restored_file("artifacts/checkpoints/1/1-100/abc"), "shard");
  EXPECT_EQ(restored_file("telemetry/default/job-1/curves"), "points");
  for (const std::string& gone :
       {unused, std::string("artifacts/results/99"), std::string("artifacts/checkpoints/1/1-200"),
        std::string("artifacts/archives"), std::string("restore.part"), std::string("admin.token"),
        std::string("secrets.key"), std::string("store/committed-")}) {
    EXPECT_FALSE(fs::exists(root_ / "new" / gone)) << gone;
  }
  // A new authority of the same cluster.
  const auto authority = CertificateAuthority::open(root_ / "new" / "ca");
  ASSERT_TRUE(authority.has_value());
  EXPECT_EQ(authority->cluster(), "one");
  EXPECT_NE(authority->root_fingerprint_hex(), authority_->root_fingerprint_hex());
  // The store: the same turns, and one in which the seats are lost.
  const auto verified = store::verify_store(root_ / "new" / "store");
  ASSERT_TRUE(verified.has_value()) << verified.error().message;
  EXPECT_TRUE(verified->differences.empty());
  EXPECT_EQ(verified->turns, cluster_.log.size() + 1);
  store::StoreConfig config;
  config.folder = root_ / "new" / "store";
  config.reserve_bytes = 0;
  auto store = store::open_store(config);
  ASSERT_TRUE(store.has_value());
  const auto state = (*store)->restore();
  EXPECT_EQ(state->jobs.at(job).state, core::JobState::kQueued);
  EXPECT_EQ(state->jobs.at(job).done, units(0, 2));
  EXPECT_EQ(state->jobs.at(job).charged, cluster_.job(job).charged);
  EXPECT_EQ(state->workers.at(worker).state, core::WorkerState::kLost);
}

TEST_F(BackupTest, WithKeysItsAuthorityAndSecretsComeBackToo) {
  cluster_.joined(a_worker());
  save();
  const auto backup = take(kPassphrase);
  ASSERT_TRUE(backup.has_value()) << backup.error().message;
  for (const char* hidden :
       {"ow_secret-token", "PRIVATE KEY", "hidden value", "the key of", kPassphrase}) {
    EXPECT_EQ(backup->find(hidden), std::string::npos) << hidden;
  }
  const auto refused = restore(*backup, "wrong horse");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kPermissionDenied);
  expect_nothing_left();
  const auto restored = restore(*backup, kPassphrase);
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  EXPECT_EQ(asked_, 2);
  const auto authority = CertificateAuthority::open(root_ / "new" / "ca");
  ASSERT_TRUE(authority.has_value()) << authority.error().message;
  EXPECT_EQ(authority->root_fingerprint_hex(), authority_->root_fingerprint_hex());
  EXPECT_EQ(restored_file("admin.token"), "ow_secret-token\n");
  EXPECT_EQ(restored_file("secrets.key"), "the key of the secrets");
  EXPECT_EQ(restored_file("secrets/0123abcd/HF_TOKEN"), "hidden value");
  EXPECT_FALSE(fs::exists(root_ / "new/secrets/0123abcd/HF_TOKEN.new-x7"));
}

TEST_F(BackupTest, ItsPiecesMayHaveAnySize) {
  save();
  const auto whole = take();
  const auto pieces = take({}, 777);
  ASSERT_TRUE(whole.has_value() && pieces.has_value());
  EXPECT_EQ(*whole, *pieces);
}

TEST_F(BackupTest, WhatIsRemovedWhileItRunsIsInIt) {
  cluster_.joined(a_worker());
  const std::string a = put_blob("matrix A");
  const JobId job = submit_product("matrix A", "matrix A");
  ASSERT_FALSE(cluster_.job(job).seats.empty());
  put("artifacts/checkpoints/1/1-100/manifest", "whole");
  put("artifacts/checkpoints/1/1-100/abc", "shard");
  save();
  auto backup = backups_->begin({});
  ASSERT_TRUE(backup.has_value()) << backup.error().message;
  for (const std::string& name : {a, std::string("artifacts/checkpoints/1/1-100/manifest"),
                                  std::string("artifacts/checkpoints/1/1-100/abc")}) {
    ASSERT_TRUE(files_->remove((data_ / name).string()).ok());
  }
  EXPECT_EQ(backups_->begin({}).error().code, Code::kResourceExhausted);
  const auto bytes = rest_of(**backup, 1 << 20);
  ASSERT_TRUE(bytes.has_value()) << bytes.error().message;
  backup->reset();
  EXPECT_TRUE(fs::is_empty(data_ / "artifacts" / "held"));
  const auto restored = restore(*bytes);
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  EXPECT_EQ(restored_file(a), "matrix A");
  EXPECT_EQ(restored_file("artifacts/checkpoints/1/1-100/abc"), "shard");
}

TEST_F(BackupTest, ABlobThatAJobNeedsAndIsNotThereIsNamed) {
  put_blob("matrix A");
  const JobId job = submit_product("matrix A", "never uploaded");
  save();
  const auto backup = backups_->begin({});
  ASSERT_FALSE(backup.has_value());
  EXPECT_EQ(backup.error().code, Code::kFailedPrecondition);
  EXPECT_NE(backup.error().message.find(to_hex(blob_digest("never uploaded"))), std::string::npos);
  EXPECT_NE(backup.error().message.find(cluster_.job(job).name), std::string::npos);
  EXPECT_FALSE(fs::exists(data_ / "store" / "backup.db"));
  // Once the job has ended nobody needs it.
  cluster_.act(job, core::JobAction::kCancel);
  save();
  EXPECT_TRUE(take().has_value());
}

TEST_F(BackupTest, ABlobThatIsDamagedIsNamed) {
  const std::string a = put_blob("matrix A");
  submit_product("matrix A", "matrix A");
  save();
  put(a, "matrix B");
  const auto backup = take();
  ASSERT_FALSE(backup.has_value());
  EXPECT_EQ(backup.error().code, Code::kFailedPrecondition);
  EXPECT_NE(backup.error().message.find("damaged"), std::string::npos);
}

TEST_F(BackupTest, ABackupThatIsDamagedOrCutShortIsRefusedAndLeavesNothing) {
  put_blob("matrix A");
  submit_product("matrix A", "matrix A");
  save();
  const std::string good = *take();
  std::string flipped = good;
  flipped[good.find("matrix A")] = 'M';
  const auto refused = restore(flipped);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kDataLoss);
  EXPECT_NE(refused.error().message.find("artifacts/blobs/"), std::string::npos);
  expect_nothing_left();
  for (const std::size_t size :
       {std::size_t{0}, good.size() / 3, good.size() - 1024, good.size() - 1}) {
    EXPECT_FALSE(restore(good.substr(0, size)).has_value()) << size;
    expect_nothing_left();
  }
  EXPECT_FALSE(restore(std::string(10'000, 'x')).has_value());
  expect_nothing_left();
  EXPECT_TRUE(restore(good).has_value());
}

TEST_F(BackupTest, OnlyAnEmptyFolderIsRestoredInto) {
  save();
  const std::string good = *take();
  fs::create_directory(root_ / "new");
  fs::permissions(root_ / "new", fs::perms::owner_all);
  ASSERT_TRUE(write_file_atomically(root_ / "new" / "mine", "x").ok());
  const auto refused = restore(good);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("mine"), std::string::npos);
  EXPECT_TRUE(fs::exists(root_ / "new" / "mine"));
  fs::remove(root_ / "new" / "mine");
  EXPECT_TRUE(restore(good).has_value());
  EXPECT_EQ(restore(good).error().code, Code::kFailedPrecondition);  // now it is in use
  EXPECT_TRUE(not_being_restored(root_ / "new").ok());
}

// Killed at any point of its last step: some of it stands in place, some does not.
TEST_F(BackupTest, ARestoreThatWasCutOffServesNobodyAndIsMadeAgain) {
  cluster_.joined(a_worker());
  save();
  const std::string good = *take(kPassphrase);
  ASSERT_TRUE(restore(good, kPassphrase).has_value());
  std::vector<fs::path> names;
  for (const auto& entry : fs::directory_iterator(root_ / "new"))
    names.push_back(entry.path().filename());
  for (std::size_t moved = 0; moved <= names.size(); ++moved) {
    fs::create_directory(root_ / "new" / "restore.part");
    fs::permissions(root_ / "new" / "restore.part", fs::perms::owner_all);
    for (std::size_t i = moved; i < names.size(); ++i) {
      fs::rename(root_ / "new" / names[i], root_ / "new" / "restore.part" / names[i]);
    }
    EXPECT_EQ(not_being_restored(root_ / "new").code, Code::kFailedPrecondition);
    const auto again = restore(good, kPassphrase);
    ASSERT_TRUE(again.has_value()) << moved << ": " << again.error().message;
    EXPECT_TRUE(not_being_restored(root_ / "new").ok());
  }
}

TEST_F(BackupTest, ARestoredClusterIsBackedUpAndRestoredAgain) {
  cluster_.joined(a_worker());
  save();
  ASSERT_TRUE(restore(*take()).has_value());
  const auto files = std::move(*artifacts::HeldFiles::open(artifacts::posix_files(),
                                                           (root_ / "new" / "artifacts").string()));
  Backups second(BackupsConfig{root_ / "new", "one", 0}, *files, [] { return kRestoredAt; });
  auto backup = second.begin({});
  ASSERT_TRUE(backup.has_value()) << backup.error().message;
  const auto bytes = rest_of(**backup, 1 << 20);
  backup->reset();
  fs::remove_all(root_ / "new");
  const auto restored = restore(*bytes);
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  EXPECT_EQ(restored->generation.number, 3U);
}

TEST_F(BackupTest, ACopyNeedsRoom) {
  save();
  Backups choosy(BackupsConfig{data_, "one", std::uint64_t{1} << 60}, *files_,
                 [] { return kRestoredAt; });
  const auto backup = choosy.begin({});
  ASSERT_FALSE(backup.has_value());
  EXPECT_EQ(backup.error().code, Code::kResourceExhausted);
  EXPECT_NE(backup.error().message.find("free"), std::string::npos);
  EXPECT_TRUE(take().has_value());  // it holds nothing back
}

TEST_F(BackupTest, ACopyThatAKilledProcessLeftIsRemoved) {
  put("store/backup.db", "half");
  const Backups next(BackupsConfig{data_, "one", 0}, *files_, [] { return kRestoredAt; });
  EXPECT_FALSE(fs::exists(data_ / "store" / "backup.db"));
}

}  // namespace
}  // namespace overwinter::backup
