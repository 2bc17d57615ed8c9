#include "coordinator/core/planted_bug.h"

namespace overwinter::core {

#ifdef OVERWINTER_PLANTED_BUGS
Bug planted_bug = Bug::kNone;
#endif

}  // namespace overwinter::core
