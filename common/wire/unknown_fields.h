// Fields that a newer client set and this program does not know. Reading may ignore them; what is
// asked to be done may not: it would be done otherwise than asked.
#pragma once

#include <google/protobuf/message.h>

#include "common/base/result.h"

namespace overwinter::wire {

// INVALID_ARGUMENT, with the path of the message that holds such a field ("spec.workers") and the
// field's number.
Status refuse_unknown_fields(const google::protobuf::Message& message);

}  // namespace overwinter::wire
