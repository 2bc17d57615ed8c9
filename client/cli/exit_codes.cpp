#include "client/cli/exit_codes.h"

namespace overwinter::cli {

int exit_code_of(const Status& status) {
  switch (status.code) {
    case Code::kOk:
      return kDone;
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
    case Code::kAlreadyExists:
      return kBadInput;
    case Code::kUnavailable:
      return kUnreachable;
    case Code::kNotFound:
      return kNoSuchThing;
    case Code::kPermissionDenied:
    case Code::kUnauthenticated:
    case Code::kResourceExhausted:
    case Code::kFailedPrecondition:
    case Code::kUnimplemented:
      return kRefused;
    case Code::kDeadlineExceeded:
      return kTimeout;
    case Code::kCancelled:
      return kInterrupted;
    case Code::kUnknown:
    case Code::kAborted:
    case Code::kInternal:
    case Code::kDataLoss:
      return kJobFailed;
  }
  return kJobFailed;
}

}  // namespace overwinter::cli
