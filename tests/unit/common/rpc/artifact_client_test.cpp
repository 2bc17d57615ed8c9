// The chunked streams against a small ArtifactService (plain text: TLS is tested in
// common/security).
#include "common/rpc/artifact_client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "common/base/mutex.h"
#include "common/formats/digest.h"
#include "common/rpc/backoff.h"
#include "common/rpc/channel.h"
#include "overwinter/v1/artifact.grpc.pb.h"

namespace overwinter {
namespace {

class Service final : public v1::ArtifactService::Service {
 public:
  grpc::Status CheckArtifacts(grpc::ServerContext* context,
                              const v1::CheckArtifactsRequest* request,
                              v1::CheckArtifactsResponse* response) override {
    const MutexLock lock(mutex);
    const auto at = context->client_metadata().find("authorization");
    if (at != context->client_metadata().end())
      token = std::string(at->second.data(), at->second.size());
    for (const std::string& digest : request->digests()) {
      if (blobs.contains(digest)) response->add_present(digest);
    }
    return grpc::Status::OK;
  }
  grpc::Status UploadArtifact(grpc::ServerContext*,
                              grpc::ServerReader<v1::UploadArtifactRequest>* reader,
                              v1::UploadArtifactResponse* response) override {
    v1::UploadArtifactRequest part;
    std::string digest;
    std::uint64_t size = 0;
    std::string bytes;
    const MutexLock lock(mutex);
    while (reader->Read(&part)) {
      if (part.has_begin()) {
        digest = part.begin().digest();
        size = part.begin().size_bytes();
        if (digest == "refused") return {grpc::StatusCode::RESOURCE_EXHAUSTED, "the disk is full"};
      }
      largest = std::max(largest, part.data().size());
      bytes += part.data();
    }
    if (bytes.size() != size) return {grpc::StatusCode::INVALID_ARGUMENT, "not whole"};
    blobs[digest] = bytes;
    response->set_uri("artifact://" + digest);
    return grpc::Status::OK;
  }
  grpc::Status DownloadArtifact(grpc::ServerContext* context,
                                const v1::DownloadArtifactRequest* request,
                                grpc::ServerWriter<v1::DownloadArtifactResponse>* writer) override {
    const std::string& digest = request->blob().digest();
    const MutexLock lock(mutex);
    if (!blobs.contains(digest)) return {grpc::StatusCode::NOT_FOUND, "no such artifact"};
    const std::string& bytes = blobs[digest];
    v1::DownloadArtifactResponse part;
    part.set_size_bytes(bytes.size());
    for (std::size_t done = 0; done < bytes.size() || done == 0; done += kChunkBytes) {
      part.set_data(bytes.substr(done, kChunkBytes));
      writer->Write(part);
      part.Clear();
      if (breaks) return {grpc::StatusCode::UNAVAILABLE, "restarting"};
      if (short_by > 0) return grpc::Status::OK;
    }
    (void)context;
    return grpc::Status::OK;
  }
  grpc::Status ReadBlock(grpc::ServerContext* context, const v1::ReadBlockRequest* request,
                         grpc::ServerWriter<v1::ReadBlockResponse>* writer) override {
    if (request->digest() == "stall") {
      started.store(true);
      started.notify_all();
      while (!context->IsCancelled()) std::this_thread::yield();
      return grpc::Status::CANCELLED;
    }
    for (std::uint64_t i = request->row_begin(); i < request->row_end(); ++i) {
      v1::ReadBlockResponse part;
      part.set_data(std::string(3, static_cast<char>('a' + i)));
      writer->Write(part);
    }
    return grpc::Status::OK;
  }
  grpc::Status ReadBlob(grpc::ServerContext*, const v1::ReadBlobRequest* request,
                        grpc::ServerWriter<v1::ReadBlobResponse>* writer) override {
    const MutexLock lock(mutex);
    if (request->capability() != "mine") return {grpc::StatusCode::PERMISSION_DENIED, "not yours"};
    const auto blob = blobs.find(request->digest());
    if (blob == blobs.end()) return {grpc::StatusCode::NOT_FOUND, "no such file"};
    const std::string& bytes = blob->second;
    v1::ReadBlobResponse part;
    part.set_size_bytes(bytes.size());
    for (std::size_t done = 0; done < bytes.size() || done == 0; done += kChunkBytes) {
      part.set_data(bytes.substr(done, kChunkBytes));
      writer->Write(part);
      part.Clear();
      if (breaks) return {grpc::StatusCode::UNAVAILABLE, "restarting"};
    }
    return grpc::Status::OK;
  }
  grpc::Status PutTile(grpc::ServerContext*, grpc::ServerReader<v1::PutTileRequest>* reader,
                       v1::PutTileResponse* response) override {
    v1::PutTileRequest part;
    std::string bytes;
    while (reader->Read(&part)) {
      if (part.has_begin() && part.begin().unit() == 13) {
        return {grpc::StatusCode::PERMISSION_DENIED, "not your unit"};
      }
      bytes += part.data();
    }
    response->set_outcome(v1::PutTileResponse::LANDED);
    response->set_message(std::to_string(bytes.size()));
    return grpc::Status::OK;
  }

  // A call's own order is enough; ThreadSanitizer does not see it through a gRPC that it was not
  // built for.
  Mutex mutex;
  std::map<std::string, std::string> blobs;
  std::string token;
  std::size_t largest = 0;
  int short_by = 0;
  bool breaks = false;
  std::atomic<bool> started{false};
};

class ArtifactClientTest : public ::testing::Test {
 protected:
  ArtifactClientTest() {
    std::string name = (std::filesystem::temp_directory_path() / "ow-rpc-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ArtifactClientOptions options;
    options.prepare = [](grpc::ClientContext& context) {
      context.AddMetadata("authorization", "Bearer ow_x");
    };
    client_ = std::make_unique<ArtifactClient>(
        make_channel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()),
        options);
  }
  ~ArtifactClientTest() override {
    server_->Shutdown(std::chrono::system_clock::now());
    std::filesystem::remove_all(folder_);
  }
  std::filesystem::path file(const std::string& content) {
    const auto path = folder_ / "in";
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  static std::string content_of(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::size_t files_in_folder() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_)) ++count;
    return count;
  }
  template <class Do>
  void with_service(const Do& act) {
    const MutexLock lock(service_.mutex);
    act(service_);
  }
  static v1::DownloadArtifactRequest blob(const std::string& digest) {
    v1::DownloadArtifactRequest request;
    request.mutable_blob()->set_digest(digest);
    return request;
  }

  static Digest digest_of(const std::string& content) {
    formats::BlobDigester digester;
    digester.update(std::as_bytes(std::span(content)));
    return digester.finish();
  }

  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ArtifactClient> client_;
  std::filesystem::path folder_;
};

TEST_F(ArtifactClientTest, UploadsInChunksAndSaysHowFarItIs) {
  std::string content(3 * kChunkBytes + 17, 'x');
  content[kChunkBytes] = 'y';
  std::uint64_t last = 0;
  auto uri = client_->upload("p", "d1", file(content), content.size(),
                             [&](std::uint64_t done, std::uint64_t total) {
                               EXPECT_GT(done, last);
                               EXPECT_EQ(total, content.size());
                               last = done;
                             });
  ASSERT_TRUE(uri.has_value()) << uri.error().message;
  EXPECT_EQ(*uri, "artifact://d1");
  EXPECT_EQ(last, content.size());
  EXPECT_TRUE(client_->has("p", "d1").value());
  EXPECT_FALSE(client_->has("p", "d2").value());
  with_service([&](Service& service) {
    EXPECT_EQ(service.blobs["d1"], content);
    EXPECT_EQ(service.largest, kChunkBytes);
    EXPECT_EQ(service.token, "Bearer ow_x");
  });
}

TEST_F(ArtifactClientTest, AnUploadThatIsRefusedOrWhoseFileShrankSaysSo) {
  EXPECT_EQ(client_->upload("p", "refused", file(std::string(9 << 20, 'x')), 9 << 20).error().code,
            Code::kResourceExhausted);
  EXPECT_EQ(client_->upload("p", "d", file("short"), 100).error().code, Code::kDataLoss);
  with_service([](Service& service) { EXPECT_FALSE(service.blobs.contains("d")); });
  EXPECT_EQ(client_->upload("p", "d", folder_ / "none", 1).error().code, Code::kNotFound);
}

TEST_F(ArtifactClientTest, ADownloadIsWholeOrNotThere) {
  const std::string content(2 * kChunkBytes + 5, 'z');
  with_service([&](Service& service) {
    service.blobs["d"] = content;
    service.blobs["empty"] = "";
  });
  const auto out = folder_ / "out";
  ASSERT_TRUE(client_->download(blob("d"), out).ok());
  EXPECT_EQ(content_of(out), content);
  ASSERT_TRUE(client_->download(blob("empty"), out).ok());
  EXPECT_EQ(content_of(out), "");
  with_service([](Service& service) { service.short_by = 1; });
  EXPECT_EQ(client_->download(blob("d"), out).code, Code::kDataLoss);
  with_service([](Service& service) {
    service.short_by = 0;
    service.breaks = true;
  });
  EXPECT_EQ(client_->download(blob("d"), out).code, Code::kUnavailable);
  EXPECT_EQ(client_->download(blob("none"), out).code, Code::kNotFound);
  EXPECT_EQ(content_of(out), "");    // what was there is untouched
  EXPECT_EQ(files_in_folder(), 1U);  // and no temporary file is left
  EXPECT_FALSE(client_->download(blob("d"), folder_ / "no" / "folder").ok());
}

TEST_F(ArtifactClientTest, ASeatsFileIsWholeAndOfItsDigestOrNotThere) {
  const std::string content(2 * kChunkBytes + 5, 'z');
  const Digest digest = digest_of(content);
  const Digest other = digest_of("other");
  with_service([&](Service& service) {
    service.blobs[to_hex(digest)] = content;
    service.blobs[to_hex(other)] = content;
    service.blobs[to_hex(digest_of(""))] = "";
  });
  ASSERT_TRUE(client_->read_blob("mine", digest, folder_, "data").ok());
  EXPECT_EQ(content_of(folder_ / "data"), content);
  ASSERT_TRUE(client_->read_blob("mine", digest_of(""), folder_, "empty").ok());
  EXPECT_EQ(content_of(folder_ / "empty"), "");
  EXPECT_EQ(client_->read_blob("mine", other, folder_, "x").code, Code::kDataLoss);
  EXPECT_EQ(client_->read_blob("yours", digest, folder_, "x").code, Code::kPermissionDenied);
  EXPECT_EQ(client_->read_blob("mine", digest_of("none"), folder_, "x").code, Code::kNotFound);
  EXPECT_EQ(client_->read_blob("mine", digest, folder_, "../x").code, Code::kInvalidArgument);
  with_service([](Service& service) { service.breaks = true; });
  EXPECT_EQ(client_->read_blob("mine", digest, folder_, "x").code, Code::kUnavailable);
  EXPECT_EQ(files_in_folder(), 2U);  // no temporary file is left
}

TEST_F(ArtifactClientTest, ABlockIsExactlyAsLongAsAsked) {
  v1::ReadBlockRequest request;
  request.set_row_end(4);
  std::string out(12, '-');
  ASSERT_TRUE(client_->read_block(request, std::as_writable_bytes(std::span(out))).ok());
  EXPECT_EQ(out, "aaabbbcccddd");
  std::string small(11, '-');
  EXPECT_EQ(client_->read_block(request, std::as_writable_bytes(std::span(small))).code,
            Code::kDataLoss);
  std::string large(13, '-');
  EXPECT_EQ(client_->read_block(request, std::as_writable_bytes(std::span(large))).code,
            Code::kDataLoss);
}

TEST_F(ArtifactClientTest, AStopEndsACallAtOnce) {
  v1::ReadBlockRequest request;
  request.set_digest("stall");
  std::string out(12, '-');
  std::stop_source stop;
  std::jthread stopper([&] {
    service_.started.wait(false);
    stop.request_stop();
  });
  EXPECT_EQ(
      client_->read_block(request, std::as_writable_bytes(std::span(out)), stop.get_token()).code,
      Code::kCancelled);
}

TEST_F(ArtifactClientTest, ATileIsSentAndAnswered) {
  const std::string tile(2 * kChunkBytes + 1, 't');
  v1::PutTileRequest::Begin begin;
  begin.set_unit(3);
  begin.set_size_bytes(tile.size());
  auto answer = client_->put_tile(begin, std::as_bytes(std::span(tile)));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->message(), std::to_string(tile.size()));
  begin.set_unit(13);
  const auto refused = client_->put_tile(begin, std::as_bytes(std::span(tile)));
  EXPECT_EQ(refused.error().code, Code::kPermissionDenied);
  EXPECT_EQ(refused.error().message, "not your unit");
}

TEST(Backoff, GrowsWithJitterToItsBoundAndStartsAnew) {
  Backoff backoff(Duration(200), Duration(10'000), 1);
  std::set<Duration> seen;
  Duration limit(200);
  for (int i = 0; i < 40; ++i) {
    const Duration pause = backoff.next();
    EXPECT_GE(pause, limit / 2);
    EXPECT_LE(pause, limit);
    limit = std::min(limit * 2, Duration(10'000));
    seen.insert(pause);
  }
  EXPECT_GT(seen.size(), 30U);
  backoff.reset();
  EXPECT_LE(backoff.next(), Duration(200));
}

}  // namespace
}  // namespace overwinter
