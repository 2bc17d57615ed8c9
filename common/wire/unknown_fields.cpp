#include "common/wire/unknown_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <string>
#include <vector>

namespace overwinter::wire {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Depth is bounded by the parser's own limit of 100.
Status check(const Message& message, const std::string& path) {
  const auto& reflection = *message.GetReflection();
  const auto& unknown = reflection.GetUnknownFields(message);
  if (!unknown.empty()) {
    return error(Code::kInvalidArgument,
                 (path.empty() ? std::string("the request") : path) + " holds field number " +
                     std::to_string(unknown.field(0).number()) +
                     ", which this coordinator does not know",
                 path, "upgrade the coordinator, or leave the field out");
  }
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const std::string below = path.empty() ? field->name() : path + "." + field->name();
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const Message& one = field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                                : reflection.GetMessage(message, field);
      if (Status status = check(one, below); !status.ok()) return status;
    }
  }
  return Status::success();
}

}  // namespace

Status refuse_unknown_fields(const Message& message) {
  return check(message, {});
}

}  // namespace overwinter::wire
