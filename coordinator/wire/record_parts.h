// How rows are read and refused. Included by record_*.cpp alone.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter::wire::codec {

template <class Message>
bool parse(std::string_view bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

inline Status damaged(std::string_view what, std::string_view field = {}) {
  return error(Code::kDataLoss, "the bytes are no record of a " + std::string(what),
               std::string(field));
}

}  // namespace overwinter::wire::codec
