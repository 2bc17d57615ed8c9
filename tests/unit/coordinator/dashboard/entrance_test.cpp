#include "coordinator/dashboard/entrance.h"

#include <gtest/gtest.h>

#include <vector>

namespace overwinter::dashboard {
namespace {

TEST(Entrance, EndsTheConnectionThatMakesRoomAndNoOther) {
  runtime::Admission admission({.connections_max = 3, .of_an_address_max = 3});
  Entrance entrance(admission);
  std::vector<Entrance::Id> ended;
  std::vector<Entrance::Id> ids;
  const auto comes = [&](const char* address) {
    const auto id = entrance.enter(address);
    if (!id) return false;
    ids.push_back(*id);
    // As a connection's end does.
    entrance.ended_by(*id, [&ended, &entrance, id = *id] {
      ended.push_back(id);
      entrance.leave(id);
    });
    return true;
  };
  EXPECT_TRUE(comes("a") && comes("a") && comes("a"));
  EXPECT_FALSE(comes("a"));
  EXPECT_TRUE(ended.empty());
  EXPECT_TRUE(comes("b"));
  EXPECT_EQ(ended, std::vector{ids[0]});
  EXPECT_EQ(admission.counts().open, 3U);
  entrance.leave(ids[1]);
  EXPECT_TRUE(comes("b"));
  EXPECT_EQ(ended.size(), 1U);
}

}  // namespace
}  // namespace overwinter::dashboard
