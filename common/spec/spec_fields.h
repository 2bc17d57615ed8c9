// A key's field in the message, by the path that both share. Internal to the room.
#pragma once

#include "common/spec/spec_keys.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::spec {

// Puts a value in its field. Refuses a key that stands beside another one of a choice that is
// already made (the job has another workload, model, optimizer).
[[nodiscard]] Status set_field(v1::JobSpec& spec, const Key& key, const Value& value);

// Makes the section present, as `linear: {}` does. The same refusal.
[[nodiscard]] Status choose_section(v1::JobSpec& spec, const Key& key);

// The value of a leaf that is set; `present` says whether it is, and whether a section is there.
struct Field {
  bool present = false;
  Value value;
};
[[nodiscard]] Field get_field(const v1::JobSpec& spec, const Key& key);

}  // namespace overwinter::spec
