// MpiCollective: the Collective of a gang, over Open MPI. Only overwinter-rank and the suite of
// collectives link it.
#pragma once

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <deque>
#include <functional>
#include <memory>

#include "worker/collective/collective.h"

namespace overwinter::worker {

// Buffers are cut into pieces of 1 MiB: one reduction of a large buffer is slow in Open MPI, many
// in flight are fast (FACTS §1). The pieces of all reductions under way stand in one queue and
// begin in its order, so that every rank begins the same ones in the same order, whatever its
// timing.
//
// The same bits everywhere and again: Open MPI chooses its algorithm by the size and the number of
// ranks alone, and a sum of two is the same in either order.
class MpiCollective final : public Collective {
 public:
  static constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
  static constexpr std::size_t kPiecesInFlight = 4;

  // Of MPI_COMM_WORLD, after MPI_Init; destroyed before MPI_Finalize.
  [[nodiscard]] static Result<std::unique_ptr<MpiCollective>> make();
  ~MpiCollective() override;
  MpiCollective(const MpiCollective&) = delete;
  MpiCollective& operator=(const MpiCollective&) = delete;

  // A byte with each of the others (at most kMeetMax of them), one after the other: what a firewall
  // between two hosts hides until they first speak shows here. `waits_for` is told before each.
  Status meet_all(const std::function<void(std::size_t rank)>& waits_for);
  static constexpr std::size_t kMeetMax = 64;

  [[nodiscard]] std::size_t rank() const override { return rank_; }
  [[nodiscard]] std::size_t size() const override { return size_; }
  Status all_reduce_sum(std::span<float> values) override;
  Status all_reduce_sum(std::span<double> values) override;
  [[nodiscard]] Result<std::unique_ptr<Pending>> start_all_reduce_sum(
      std::span<float> values) override;
  void progress() override;
  Status broadcast(std::span<std::byte> bytes, std::size_t root) override;
  Status barrier() override;

 private:
  class Reduction;
  struct Piece {
    void* data = nullptr;
    int count = 0;
    MPI_Datatype type = MPI_FLOAT;
    std::shared_ptr<std::size_t> pieces_left;  // of its reduction
    MPI_Request request = MPI_REQUEST_NULL;
  };

  explicit MpiCollective(MPI_Comm communicator) : communicator_(communicator) {}
  template <class T>
  std::shared_ptr<std::size_t> enqueue(std::span<T> values, MPI_Datatype type);
  template <class T>
  Status reduce_now(std::span<T> values, MPI_Datatype type);
  // Begins what may begin and notes what has ended.
  Status drive();
  // Until every piece has begun, so that what follows comes after them on every rank.
  Status begin_all();
  Status note(int code, const char* doing);

  MPI_Comm communicator_;
  std::size_t rank_ = 0;
  std::size_t size_ = 1;
  std::deque<Piece> waiting_;
  std::deque<Piece> in_flight_;
  Status broken_;  // the first error; final
};

}  // namespace overwinter::worker
