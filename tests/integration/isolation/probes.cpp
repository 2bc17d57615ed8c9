#include "tests/integration/isolation/probes.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>

#include <functional>
#include <regex>
#include <utility>

#include "coordinator/rpc/method_table.h"
#include "overwinter/v1/admin.pb.h"
#include "overwinter/v1/artifact.pb.h"
#include "overwinter/v1/billing.pb.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::test {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Path = std::vector<const FieldDescriptor*>;

// What is, and its twin that is not: as long, and beginning alike, since some answers show the
// beginning of what they were asked for.
struct Pair {
  std::string there;
  std::string missing;
  std::string only;  // the one field that it is for; empty: all
};

// Every text field of a request, those of its parts too. Map entries and well-known types hold no
// name.
void text_fields(const Descriptor* type, const Path& before, std::vector<Path>& out) {
  for (int i = 0; i < type->field_count(); ++i) {
    Path path = before;
    path.push_back(type->field(i));
    const auto* field = type->field(i);
    if (field->type() == FieldDescriptor::TYPE_STRING) out.push_back(path);
    if (field->type() == FieldDescriptor::TYPE_MESSAGE && !field->is_map() && path.size() < 5 &&
        field->message_type()->full_name().starts_with("overwinter.")) {
      text_fields(field->message_type(), path, out);
    }
  }
}

void set_text(Message& message, const Path& path, const std::string& value) {
  Message* at = &message;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    const auto* reflection = at->GetReflection();
    if (!path[i]->is_repeated()) {
      at = reflection->MutableMessage(at, path[i]);
    } else if (reflection->FieldSize(*at, path[i]) > 0) {
      at = reflection->MutableRepeatedMessage(at, path[i], 0);
    } else {
      at = reflection->AddMessage(at, path[i]);
    }
  }
  if (path.back()->is_repeated()) {
    at->GetReflection()->AddString(at, path.back(), value);
  } else {
    at->GetReflection()->SetString(at, path.back(), value);
  }
}

bool passes(const Path& path, const std::string& field) {
  return std::any_of(path.begin(), path.end(),
                     [&](const auto* one) { return one->name() == field; });
}

// What a request needs beside the field under test, so that it gets as far as the name.
void fill_rest(Message& message, const Path& path, const std::string& digest) {
  if (auto* submit = dynamic_cast<v1::SubmitJobRequest*>(&message)) {
    submit->mutable_spec()->mutable_noop()->set_units(1);
  } else if (auto* batch = dynamic_cast<v1::BatchSubmitJobsRequest*>(&message)) {
    batch->add_requests()->mutable_spec()->mutable_noop()->set_units(1);
  } else if (auto* plan = dynamic_cast<v1::PlanJobRequest*>(&message)) {
    plan->mutable_spec()->mutable_noop()->set_units(1);
  } else if (auto* list = dynamic_cast<v1::ListJobsRequest*>(&message)) {
    list->set_parent("projects/" + kReader);
  } else if (auto* watch = dynamic_cast<v1::WatchJobsRequest*>(&message)) {
    watch->set_parent("projects/" + kReader);
  } else if (auto* token = dynamic_cast<v1::CreateTokenRequest*>(&message)) {
    token->set_role("viewer");
  } else if (auto* check = dynamic_cast<v1::CheckArtifactsRequest*>(&message)) {
    if (!passes(path, "digests")) check->add_digests(digest);
  } else if (auto* upload = dynamic_cast<v1::UploadArtifactRequest*>(&message)) {
    upload->mutable_begin()->set_digest(digest);
    upload->mutable_begin()->set_size_bytes(1);
  } else if (auto* download = dynamic_cast<v1::DownloadArtifactRequest*>(&message)) {
    if (passes(path, "blob")) download->mutable_blob()->set_digest(digest);
  }
  if (passes(path, "matmul")) set_text(message, path, digest);  // takes the place of the noop
}

// The answer without the value itself and its parts, and without what is made anew at each call.
std::string stripped(std::string text, const std::string& value) {
  std::vector<std::string> parts{value};
  for (std::size_t at = 0; at < value.size();) {
    const auto slash = std::min(value.find('/', at), value.size());
    const std::string part = value.substr(at, slash - at);
    if (part.size() > 5 || part == kSecret || part == "zenon") parts.push_back(part);
    at = slash + 1;
  }
  for (const auto& part : parts) {
    if (part.empty() || part == "projects") continue;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part)) {
      text.replace(at, part.size(), "?");
    }
  }
  static const std::regex made(
      R"((\bid: \d+)|(-[0-9a-z]{5}\b)|((login|join_file|next_page_token): ".*"))");
  return std::regex_replace(text, made, "MADE");
}

std::vector<Pair> pairs_of(const Life& secret) {
  std::vector<Pair> out{
      {kSecret, "zenon", {}},
      {"projects/" + kSecret, "projects/zenon", {}},
      {"workers/box-of-" + kSecret, "workers/box-of-zenon", {}},
      {"box-of-" + kSecret, "box-of-zenon", {}},
      {"request 1", "request 9", "request_id"},
  };
  for (const auto& job : secret.jobs()) {
    const std::string name = job.substr(job.rfind('/') + 1);
    const std::string none = name.substr(0, name.size() - 4) + "none";
    out.push_back({job, "projects/" + kSecret + "/jobs/" + none, {}});
    out.push_back(
        {"projects/" + kReader + "/jobs/" + name, "projects/" + kReader + "/jobs/" + none, {}});
    out.push_back({name, none, {}});
    if (out.size() > 16) break;
  }
  for (const auto& digest : secret.digests()) {
    std::string none = digest;
    none.back() = none.back() == '0' ? '1' : '0';
    out.push_back({digest, none, {}});
    out.push_back({"artifact://" + digest, "artifact://" + none, {}});
    if (out.size() > 22) break;
  }
  return out;
}

void probe_field(Tenants& tenants, const std::string& method, const Message& prototype,
                 const Path& path, const Pair& pair, const std::string& digest,
                 const std::vector<std::string>& secrets, Probed& out) {
  for (const Role role : {Role::kSubmitter, Role::kAdmin}) {
    const auto ask = [&](const std::string& value) {
      const std::unique_ptr<Message> request(prototype.New());
      fill_rest(*request, path, digest);
      set_text(*request, path, value);
      ++out.calls;
      // A watch of what there is would not end.
      const std::size_t most = method.ends_with("/WatchJobs") ? 1 : 1'000;
      return stripped(text_of(method, tenants.call(kReader, role, method, *request, most)), value);
    };
    const std::string there = ask(pair.there);
    const std::string missing = ask(pair.missing);
    const std::string told = secret_in(there, secrets);
    if (there == missing && told.empty()) continue;
    out.told.push_back(method + " " + path.back()->full_name() + " = " + pair.there + ":\n" +
                       there + "--- and for " + pair.missing + ":\n" + missing);
  }
}

}  // namespace

std::vector<std::string> secrets_of(const Life& secret) {
  std::vector<std::string> out{kSecret};
  for (const auto& job : secret.jobs()) out.push_back(job.substr(job.rfind('/') + 1));
  return out;
}

std::string secret_in(const std::string& text, const std::vector<std::string>& secrets) {
  for (const auto& secret : secrets) {
    if (text.find(secret) != std::string::npos) return secret;
  }
  return {};
}

Probed probe(Tenants& tenants, const Life& secret) {
  Probed out;
  const auto pairs = pairs_of(secret);
  const auto secrets = secrets_of(secret);
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  auto* factory = google::protobuf::MessageFactory::generated_factory();
  for (const auto& rule : rpc::people_methods()) {
    if (!rule.path.starts_with("/overwinter.v1.")) continue;
    const std::string method(rule.path.substr(std::string_view("/overwinter.v1.").size()));
    std::string full = "overwinter.v1." + method;
    full[full.find('/')] = '.';
    const auto* type = pool->FindMethodByName(full)->input_type();
    std::vector<Path> fields;
    text_fields(type, {}, fields);
    for (const auto& field : fields) {
      for (const auto& pair : pairs) {
        if (!pair.only.empty() && pair.only != field.back()->name()) continue;
        probe_field(tenants, method, *factory->GetPrototype(type), field, pair,
                    secret.digests().front(), secrets, out);
      }
    }
  }
  return out;
}

}  // namespace overwinter::test
