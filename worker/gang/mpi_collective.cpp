#include "worker/gang/mpi_collective.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace overwinter::worker {
namespace {

std::string reason(int code) {
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) return "error of MPI";
  return {text.data(), static_cast<std::size_t>(length)};
}

}  // namespace

class MpiCollective::Reduction final : public Pending {
 public:
  Reduction(MpiCollective& collective, std::shared_ptr<std::size_t> pieces_left)
      : collective_(collective), pieces_left_(std::move(pieces_left)) {}
  // MPI writes into the values until the end: they may not go before it.
  ~Reduction() override { (void)wait(); }
  Reduction(const Reduction&) = delete;
  Reduction& operator=(const Reduction&) = delete;

  Status wait() override {
    while (*pieces_left_ > 0) {
      if (Status driven = collective_.drive(); !driven.ok()) return driven;
    }
    return collective_.broken_;
  }

 private:
  MpiCollective& collective_;
  std::shared_ptr<std::size_t> pieces_left_;
};

Result<std::unique_ptr<MpiCollective>> MpiCollective::make() {
  MPI_Comm communicator = MPI_COMM_NULL;
  int rank = 0;
  int size = 0;
  if (int code = MPI_Comm_dup(MPI_COMM_WORLD, &communicator); code != MPI_SUCCESS) {
    return fail(Code::kInternal, "the gang's ranks do not hear each other: " + reason(code));
  }
  std::unique_ptr<MpiCollective> collective(new MpiCollective(communicator));
  MPI_Comm_set_errhandler(communicator, MPI_ERRORS_RETURN);
  MPI_Comm_rank(communicator, &rank);
  MPI_Comm_size(communicator, &size);
  collective->rank_ = static_cast<std::size_t>(rank);
  collective->size_ = static_cast<std::size_t>(size);
  return collective;
}

MpiCollective::~MpiCollective() {
  while (broken_.ok() && !(waiting_.empty() && in_flight_.empty())) (void)drive();
  if (broken_.ok()) MPI_Comm_free(&communicator_);
}

Status MpiCollective::meet_all(const std::function<void(std::size_t rank)>& waits_for) {
  for (std::size_t k = 1; k < std::min(size_, kMeetMax + 1); ++k) {
    const std::size_t to = (rank_ + k) % size_;
    const std::size_t from = (rank_ + size_ - k) % size_;
    waits_for(from);
    char out = 1;
    char in = 0;
    const int code = MPI_Sendrecv(&out, 1, MPI_CHAR, static_cast<int>(to), 0, &in, 1, MPI_CHAR,
                                  static_cast<int>(from), 0, communicator_, MPI_STATUS_IGNORE);
    if (Status met = note(code, "the first word to another rank"); !met.ok()) return met;
  }
  return Status::success();
}

Status MpiCollective::note(int code, const char* doing) {
  if (code != MPI_SUCCESS && broken_.ok()) {
    broken_ = error(Code::kUnavailable, std::string(doing) + " failed: " + reason(code));
  }
  return broken_;
}

template <class T>
std::shared_ptr<std::size_t> MpiCollective::enqueue(std::span<T> values, MPI_Datatype type) {
  constexpr std::size_t kPiece = kPieceBytes / sizeof(T);
  auto left = std::make_shared<std::size_t>(0);
  for (std::size_t at = 0; at < values.size(); at += kPiece) {
    const std::size_t count = std::min(kPiece, values.size() - at);
    waiting_.push_back({values.data() + at, static_cast<int>(count), type, left, MPI_REQUEST_NULL});
    ++*left;
  }
  return left;
}

Status MpiCollective::drive() {
  if (!broken_.ok()) return broken_;
  while (!waiting_.empty() && in_flight_.size() < kPiecesInFlight) {
    Piece piece = std::move(waiting_.front());
    waiting_.pop_front();
    const int code = MPI_Iallreduce(MPI_IN_PLACE, piece.data, piece.count, piece.type, MPI_SUM,
                                    communicator_, &piece.request);
    if (Status begun = note(code, "a reduction"); !begun.ok()) return begun;
    in_flight_.push_back(std::move(piece));
  }
  for (auto it = in_flight_.begin(); it != in_flight_.end();) {
    int ended = 0;
    const int code = MPI_Test(&it->request, &ended, MPI_STATUS_IGNORE);
    if (Status tested = note(code, "a reduction"); !tested.ok()) return tested;
    if (ended != 0) --*it->pieces_left;
    it = ended != 0 ? in_flight_.erase(it) : std::next(it);
  }
  return Status::success();
}

Status MpiCollective::begin_all() {
  while (!waiting_.empty()) {
    if (Status driven = drive(); !driven.ok()) return driven;
  }
  return broken_;
}

template <class T>
Status MpiCollective::reduce_now(std::span<T> values, MPI_Datatype type) {
  if (Status begun = begin_all(); !begun.ok()) return begun;
  constexpr std::size_t kPiece = kPieceBytes / sizeof(T);
  for (std::size_t at = 0; at < values.size(); at += kPiece) {
    const auto count = static_cast<int>(std::min(kPiece, values.size() - at));
    const int code =
        MPI_Allreduce(MPI_IN_PLACE, values.data() + at, count, type, MPI_SUM, communicator_);
    if (Status reduced = note(code, "a reduction"); !reduced.ok()) return reduced;
  }
  return Status::success();
}

Status MpiCollective::all_reduce_sum(std::span<float> values) {
  return reduce_now(values, MPI_FLOAT);
}

Status MpiCollective::all_reduce_sum(std::span<double> values) {
  return reduce_now(values, MPI_DOUBLE);
}

Result<std::unique_ptr<Collective::Pending>> MpiCollective::start_all_reduce_sum(
    std::span<float> values) {
  if (!broken_.ok()) return fail(broken_);
  std::unique_ptr<Pending> pending = std::make_unique<Reduction>(*this, enqueue(values, MPI_FLOAT));
  if (Status driven = drive(); !driven.ok()) return fail(driven);
  return pending;
}

void MpiCollective::progress() {
  if (!waiting_.empty() || !in_flight_.empty()) (void)drive();
}

Status MpiCollective::broadcast(std::span<std::byte> bytes, std::size_t root) {
  if (root >= size_) return error(Code::kInvalidArgument, "no rank is the root of a broadcast");
  if (Status begun = begin_all(); !begun.ok()) return begun;
  for (std::size_t at = 0; at < bytes.size(); at += kPieceBytes) {
    const auto count = static_cast<int>(std::min(kPieceBytes, bytes.size() - at));
    const int code =
        MPI_Bcast(bytes.data() + at, count, MPI_BYTE, static_cast<int>(root), communicator_);
    if (Status sent = note(code, "a broadcast"); !sent.ok()) return sent;
  }
  return Status::success();
}

Status MpiCollective::barrier() {
  if (Status begun = begin_all(); !begun.ok()) return begun;
  return note(MPI_Barrier(communicator_), "a barrier");
}

}  // namespace overwinter::worker
