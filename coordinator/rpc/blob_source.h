// A whole blob as what a ByteStream reads from.
#pragma once

#include <algorithm>
#include <utility>

#include "coordinator/artifacts/blob_store.h"
#include "coordinator/rpc/byte_stream.h"

namespace overwinter::rpc {

class BlobSource final : public ByteSource {
 public:
  explicit BlobSource(artifacts::Blob blob) : blob_(std::move(blob)) {}
  Result<std::size_t> next(std::span<std::byte> out) override {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), bytes_left()));
    if (Status status = blob_.file->read_at(at_, out.first(size)); !status.ok()) {
      return fail(std::move(status));
    }
    at_ += size;
    return size;
  }
  std::uint64_t bytes_left() const override { return blob_.size_bytes - at_; }

 private:
  const artifacts::Blob blob_;
  std::uint64_t at_ = 0;
};

}  // namespace overwinter::rpc
