// SQLite ends a WAL at the first frame whose checksum does not hold and says nothing: rightly for a
// commit that a crash tore, wrongly for commits that were durable and then damaged. This tells the
// two apart. The format: SQLite's file format document, "The Write-Ahead Log".
#pragma once

#include <string>

#include "common/base/result.h"

namespace overwinter::store {

// Looks at a WAL before SQLite opens it. At most one commit, the last, may be torn, since each is
// synced before the next begins: DATA_LOSS when two or more commits follow the first bad frame. OK
// when there is no WAL. A damaged last commit looks like a torn one; the projection's watermark
// catches it (README).
Status check_wal(const std::string& path);

}  // namespace overwinter::store
