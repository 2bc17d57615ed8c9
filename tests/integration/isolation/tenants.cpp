#include "tests/integration/isolation/tenants.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "common/domain/principal.h"

namespace overwinter::test {
namespace {

using core::test::a_worker;

constexpr auto kPatience = std::chrono::seconds(20);

// One completion at a time: false when the operation failed or the stream ended.
class Waiter {
 public:
  bool operator()() {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  }
  grpc::CompletionQueue queue;
};

grpc::ByteBuffer buffer_of(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string out;
  for (const auto& slice : slices) {
    out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return out;
}

}  // namespace

Tenants::Tenants(const MakeJobs& make_jobs) {
  prepare();
  clock_ = std::make_unique<ManualClock>(stored_.cluster.now);
  services_ = std::make_unique<ServiceCluster>(stored_, *clock_, daemons_);
  if (make_jobs) jobs_ = make_jobs(*services_);
  services_->serve(jobs_.get());
  router_ = std::make_unique<dashboard::Router>(dashboard::Sources{
      services_->views, services_->costs, services_->pool, services_->queue, services_->requests,
      services_->loop, stored_.store(), [] { return std::size_t{2}; },
      [](telemetry::Door) { return runtime::ConnectionCounts{}; }, services_->serving,
      [] { return true; }, *page_.telemetry, *page_.checkpoints, *page_.sessions,
      [](std::string_view) -> Result<std::string> {
        return fail(Code::kUnauthenticated, "no code is good here");
      },
      services_->notices, *services_->audit});
  for (const auto& [id, builder] : machines_) daemons_.connect(id, builder, services_->queue);
  settle();
}

Tenants::~Tenants() {
  services_.reset();
}

void Tenants::prepare() {
  auto& cluster = stored_.cluster;
  cluster.set_prices(core::test::a_book(3'600'000));
  for (const auto& project : {kReader, kSecret}) {
    cluster.step(core::ProjectCreateRequested{core::test::admin(), core::ReplyId(4), project});
    for (const Role role : kRoles) {
      tokens_[{project, role}] =
          add_token(stored_, role, project, project + " " + std::string(role_name(role)));
    }
    const auto builder =
        a_worker().named("box-of-" + project).with_device(4 * kGiB, 4).for_projects({project});
    machines_.emplace_back(cluster.joined(builder), builder);
  }
  stored_.save();
  stored_.reopen();
}

Answer Tenants::call(const std::string& project, Role role, const std::string& method,
                     const google::protobuf::Message& request, std::size_t most) {
  return send(project, role, method, {request.SerializeAsString()}, most);
}

Answer Tenants::send(const std::string& project, Role role, const std::string& method,
                     const std::vector<std::string>& messages, std::size_t most) {
  Waiter wait;
  grpc::GenericStub stub(services_->channel);
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + tokens_.at({project, role}));
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  const auto stream = stub.PrepareCall(&context, "/overwinter.v1." + method, &wait.queue);
  stream->StartCall(nullptr);
  bool open = wait();
  for (const auto& message : messages) {
    if (!open) break;
    stream->Write(buffer_of(message), nullptr);
    open = wait();
  }
  if (open) {
    stream->WritesDone(nullptr);
    wait();
  }
  Answer answer;
  while (answer.messages.size() < most) {
    grpc::ByteBuffer buffer;
    stream->Read(&buffer, nullptr);
    if (!wait()) break;
    answer.messages.push_back(bytes_of(buffer));
  }
  const bool cut = answer.messages.size() == most;
  if (cut) context.TryCancel();
  stream->Finish(&answer.status, nullptr);
  wait();
  if (cut) answer.status = grpc::Status::OK;  // enough was read
  EXPECT_NE(answer.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << method;
  settle();
  return answer;
}

std::string Tenants::get(const std::string& project, Role role, const std::string& target) {
  auto promise = std::make_shared<std::promise<dashboard::Response>>();
  auto future = promise->get_future();
  router_->handle({"GET", target, "Bearer " + tokens_.at({project, role})},
                  [promise](dashboard::Response response) { promise->set_value(response); });
  if (future.wait_for(kPatience) != std::future_status::ready) return "no answer";
  const auto response = future.get();
  return std::to_string(response.status) + " " + response.body;
}

// A request that changes nothing: its answer comes after all that was asked before.
void Tenants::ask_core() {
  core::TokenRevokeRequested nothing;
  nothing.by = core::test::admin();
  nothing.token = TokenId(1'000'000);
  std::promise<void> done;
  services_->requests.ask(nothing, [&done](const core::Reply&) { done.set_value(); });
  ASSERT_EQ(done.get_future().wait_for(kPatience), std::future_status::ready);
}

void Tenants::settle() {
  std::size_t before = 0;
  do {
    before = daemons_.orders();
    ask_core();
    // One plan is made at a time, so that those before this have been made.
    std::promise<void> planned;
    services_->pool.run_vital(runtime::Work::kPlan, [&planned] { planned.set_value(); });
    planned.get_future().wait();
    ask_core();
  } while (daemons_.orders() != before);
}

void Tenants::pass(Duration duration) {
  clock_->advance(duration);
  services_->queue.wake();
  settle();
  // One after the other: what comes together is one step of a job's history, or two, as it happens.
  for (auto& said : daemons_.work(duration)) {
    services_->queue.post_vital(std::move(said));
    settle();
  }
}

std::string text_of(const std::string& method, const Answer& answer) {
  std::string out = method + ": " + std::to_string(answer.status.error_code()) + " " +
                    answer.status.error_message() + "\n" + answer.status.error_details() + "\n";
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  std::string name = "overwinter.v1." + method;
  name[name.find('/')] = '.';
  const auto* descriptor = pool->FindMethodByName(name);
  if (descriptor == nullptr) return out + "no such method";
  auto* factory = google::protobuf::MessageFactory::generated_factory();
  for (const auto& bytes : answer.messages) {
    const std::unique_ptr<google::protobuf::Message> message(
        factory->GetPrototype(descriptor->output_type())->New());
    if (!message->ParseFromString(bytes)) return out + "an unreadable message";
    out += message->DebugString();
  }
  return out;
}

}  // namespace overwinter::test
