#include "common/spec/spec_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>

#include <map>

#include "common/base/check.h"

namespace overwinter::spec {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using TextMap = google::protobuf::Map<std::string, std::string>;

constexpr std::string_view kWorkload = "workload.";

std::string_view field_path(const Key& key) {
  std::string_view path = key.path;
  if (path.substr(0, kWorkload.size()) == kWorkload) path.remove_prefix(kWorkload.size());
  return path;
}

std::string take_part(std::string_view& path) {
  const std::size_t dot = path.find('.');
  std::string part(path.substr(0, dot));
  path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  return part;
}

const FieldDescriptor* field_of(const Message& message, const Key& key, std::string name,
                                bool is_last) {
  if (is_last && key.kind == ValueKind::kSize) name += "_bytes";
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  check(field != nullptr, "every key has its field");
  return field;
}

// Whether setting the field would drop another choice of its oneof.
Status check_choice(const Message& message, const FieldDescriptor* field, const Key& key) {
  const auto* group = field->real_containing_oneof();
  if (group == nullptr) return Status::success();
  const FieldDescriptor* chosen = message.GetReflection()->GetOneofFieldDescriptor(message, group);
  if (chosen == nullptr || chosen == field) return Status::success();
  return error(Code::kInvalidArgument,
               std::string(key.path) + ": the job has another " + group->name() + ", " +
                   chosen->name() + ".",
               std::string(key.path));
}

// The message that holds the key's field, made on the way.
Result<Message*> mutable_parent(v1::JobSpec& spec, const Key& key, const FieldDescriptor*& field) {
  Message* message = &spec;
  std::string_view rest = field_path(key);
  while (true) {
    const std::string part = take_part(rest);
    field = field_of(*message, key, part, rest.empty());
    if (Status s = check_choice(*message, field, key); !s.ok()) return fail(s);
    if (rest.empty()) return message;
    message = message->GetReflection()->MutableMessage(message, field);
  }
}

// The same for reading; null when a section on the way is not there.
const Message* find_parent(const v1::JobSpec& spec, const Key& key, const FieldDescriptor*& field) {
  const Message* message = &spec;
  std::string_view rest = field_path(key);
  while (true) {
    const std::string part = take_part(rest);
    field = field_of(*message, key, part, rest.empty());
    if (rest.empty()) return message;
    if (!message->GetReflection()->HasField(*message, field)) return nullptr;
    message = &message->GetReflection()->GetMessage(*message, field);
  }
}

TextMap& text_map(v1::JobSpec& spec, const Key& key) {
  if (key.path == "labels") return *spec.mutable_labels();
  if (key.path == "workload.exec.env") return *spec.mutable_exec()->mutable_env();
  check(key.path == "workload.exec.mounts", "a map of texts that is known here");
  return *spec.mutable_exec()->mutable_mounts();
}
const TextMap& text_map(const v1::JobSpec& spec, const Key& key) {
  if (key.path == "labels") return spec.labels();
  return key.path == "workload.exec.env" ? spec.exec().env() : spec.exec().mounts();
}

void to_proto(Duration d, google::protobuf::Duration& out) {
  out.set_seconds(d.count() / 1000);
  out.set_nanos(static_cast<std::int32_t>(d.count() % 1000) * 1'000'000);
}
Duration from_proto(const google::protobuf::Duration& d) {
  return Duration(d.seconds() * 1000 + d.nanos() / 1'000'000);
}

void set_every(v1::CheckpointSpec& checkpoint, const Value& value) {
  checkpoint.clear_every_steps();
  checkpoint.clear_every_time();
  if (value.number != 0) {
    checkpoint.set_every_steps(value.number);
  } else {
    to_proto(value.duration, *checkpoint.mutable_every_time());
  }
}

void set_command(v1::ExecSpec& exec, const Value& value) {
  exec.clear_shell();
  exec.clear_argv();
  if (!value.is_list) exec.set_shell(value.text);
  for (const std::string& argument : value.texts) exec.add_argv(argument);
}

void set_metrics(v1::ExecSpec& exec, const Value& value) {
  exec.clear_metrics();
  for (const auto& [name, regex] : value.pairs) {
    v1::MetricPattern& pattern = *exec.add_metrics();
    pattern.set_name(name);
    pattern.set_regex(regex);
  }
}

void set_list(Message* message, const FieldDescriptor* field, const Value& value) {
  const Reflection* reflection = message->GetReflection();
  reflection->ClearField(message, field);
  for (const std::string& text : value.texts) reflection->AddString(message, field, text);
  for (std::uint64_t number : value.numbers)
    reflection->AddUInt32(message, field, static_cast<std::uint32_t>(number));
}

void set_leaf(Message* message, const FieldDescriptor* field, const Value& value) {
  const Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(message, field, value.text);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->SetUInt32(message, field, static_cast<std::uint32_t>(value.number));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, field, value.number);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, field, value.real);
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      Message* inner = reflection->MutableMessage(message, field);
      if (auto* money = google::protobuf::DynamicCastToGenerated<v1::Money>(inner)) {
        money->set_amount_micros(value.money.micros);
        return;
      }
      auto* duration = google::protobuf::DynamicCastToGenerated<google::protobuf::Duration>(inner);
      check(duration != nullptr, "a leaf that is a message is money or a duration");
      return to_proto(value.duration, *duration);
    }
    default:
      check(false, "a leaf of a kind that is known here");
  }
}

Field get_list(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  Field out;
  const int size = reflection->FieldSize(message, field);
  out.present = size > 0;
  for (int i = 0; i < size; ++i) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING)
      out.value.texts.push_back(reflection->GetRepeatedString(message, field, i));
    else
      out.value.numbers.push_back(reflection->GetRepeatedUInt32(message, field, i));
  }
  return out;
}

Field get_leaf(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  Field out;
  // Of a field without presence it says whether it differs from its zero.
  out.present = reflection->HasField(message, field);
  if (!out.present) return out;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      out.value.text = reflection->GetString(message, field);
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      out.value.number = reflection->GetUInt32(message, field);
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      out.value.number = reflection->GetUInt64(message, field);
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      out.value.real = reflection->GetDouble(message, field);
      break;
    default: {
      const Message& inner = reflection->GetMessage(message, field);
      if (const auto* money = google::protobuf::DynamicCastToGenerated<v1::Money>(&inner))
        out.value.money = Money{money->amount_micros()};
      else if (const auto* duration =
                   google::protobuf::DynamicCastToGenerated<google::protobuf::Duration>(&inner))
        out.value.duration = from_proto(*duration);
    }
  }
  return out;
}

Field get_exec(const v1::ExecSpec& exec, ValueKind kind) {
  Field out;
  if (kind == ValueKind::kMetrics) {
    for (const v1::MetricPattern& pattern : exec.metrics())
      out.value.pairs.emplace_back(pattern.name(), pattern.regex());
    out.present = !out.value.pairs.empty();
    return out;
  }
  out.value.text = exec.shell();
  out.value.texts.assign(exec.argv().begin(), exec.argv().end());
  out.value.is_list = !out.value.texts.empty();
  out.present = !out.value.text.empty() || out.value.is_list;
  return out;
}

}  // namespace

Status choose_section(v1::JobSpec& spec, const Key& key) {
  const FieldDescriptor* field = nullptr;
  auto parent = mutable_parent(spec, key, field);
  if (!parent) return parent.error();
  (*parent)->GetReflection()->MutableMessage(*parent, field);
  return Status::success();
}

Status set_field(v1::JobSpec& spec, const Key& key, const Value& value) {
  if (key.path.substr(0, kWorkload.size()) == kWorkload) {
    std::string_view rest = field_path(key);
    const FieldDescriptor* workload = field_of(spec, key, take_part(rest), false);
    if (Status s = check_choice(spec, workload, key); !s.ok()) return s;
  }
  switch (key.kind) {
    case ValueKind::kTextMap:
      for (const auto& [name, text] : value.pairs) text_map(spec, key)[name] = text;
      return Status::success();
    case ValueKind::kCommand:
      set_command(*spec.mutable_exec(), value);
      return Status::success();
    case ValueKind::kMetrics:
      set_metrics(*spec.mutable_exec(), value);
      return Status::success();
    case ValueKind::kEvery:
      set_every(*spec.mutable_checkpoint(), value);
      return Status::success();
    default:
      break;
  }
  const FieldDescriptor* field = nullptr;
  auto parent = mutable_parent(spec, key, field);
  if (!parent) return parent.error();
  if (field->is_repeated())
    set_list(*parent, field, value);
  else
    set_leaf(*parent, field, value);
  return Status::success();
}

Field get_field(const v1::JobSpec& spec, const Key& key) {
  Field out;
  switch (key.kind) {
    case ValueKind::kTextMap: {
      const std::map<std::string, std::string> sorted(text_map(spec, key).begin(),
                                                      text_map(spec, key).end());
      out.value.pairs.assign(sorted.begin(), sorted.end());
      out.present = !sorted.empty();
      return out;
    }
    case ValueKind::kCommand:
    case ValueKind::kMetrics:
      return spec.has_exec() ? get_exec(spec.exec(), key.kind) : out;
    case ValueKind::kEvery:
      out.value.number = spec.checkpoint().every_steps();
      out.value.duration = from_proto(spec.checkpoint().every_time());
      out.present = out.value.number != 0 || spec.checkpoint().has_every_time();
      return out;
    default:
      break;
  }
  if (key.path == "workload") {
    out.present = spec.workload_case() != v1::JobSpec::WORKLOAD_NOT_SET;
    return out;
  }
  const FieldDescriptor* field = nullptr;
  const Message* parent = find_parent(spec, key, field);
  if (parent == nullptr) return out;
  if (is_section(key)) {
    out.present = parent->GetReflection()->HasField(*parent, field);
    return out;
  }
  return field->is_repeated() ? get_list(*parent, field) : get_leaf(*parent, field);
}

}  // namespace overwinter::spec
