// An archive that becomes a folder, whole or not at all.
#pragma once

#include <filesystem>
#include <functional>

#include "common/base/result.h"

namespace overwinter::client {

// Makes `folder` out of the archive (common/formats/archive.h) that `fetch` writes to the file it
// is given. Both lie in a folder beside it until all is unpacked; of an error nothing stays.
// `folder` is not there yet or is empty, else ALREADY_EXISTS, before anything is fetched.
[[nodiscard]] Status unpack_beside(
    const std::filesystem::path& folder,
    const std::function<Status(const std::filesystem::path& file)>& fetch);

}  // namespace overwinter::client
