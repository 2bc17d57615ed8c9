// Projects, tokens, join files: who is recorded, and what is refused.
#include <gtest/gtest.h>

#include "tests/support/core_builders.h"

namespace overwinter::core::test {
namespace {

Code code(const TestCluster& cluster) {
  return cluster.last<Reply>().status.code;
}

TEST(Admin, AProjectIsMadeOnceAndTokensAreForOneThatIsThere) {
  TestCluster cluster;
  EXPECT_EQ(std::get<ProjectCreated>(cluster.log.at(1).second).actor, 0U);  // the coordinator's own
  cluster.step(ProjectCreateRequested{admin(), ReplyId(2), "lab"});
  EXPECT_EQ(code(cluster), Code::kOk);
  cluster.step(ProjectCreateRequested{admin(), ReplyId(2), "lab"});
  EXPECT_EQ(code(cluster), Code::kAlreadyExists);
  EXPECT_TRUE(cluster.out.facts.empty());
  const auto token = [&](std::string project) {
    cluster.step(
        TokenCreateRequested{admin(), ReplyId(2), {}, Role::kViewer, std::move(project), "t", {}});
    return code(cluster);
  };
  EXPECT_EQ(token(""), Code::kOk);
  EXPECT_EQ(token("lab"), Code::kOk);
  EXPECT_EQ(cluster.facts<TokenCreated>().at(0).actor, 1U);
  EXPECT_EQ(token("nowhere"), Code::kNotFound);
  EXPECT_TRUE(cluster.out.facts.empty());
  JoinFileCreateRequested join;
  join.by = admin();
  join.reply = ReplyId(2);
  join.projects = {"lab", "nowhere"};
  cluster.step(join);
  EXPECT_EQ(code(cluster), Code::kNotFound);
  join.projects = {"lab"};
  cluster.step(join);
  EXPECT_EQ(code(cluster), Code::kOk);
}

TEST(Admin, WhatIsRevokedEndsItsStreamsEachTimeItIsAskedAndIsRecordedOnce) {
  TestCluster cluster;
  cluster.step(TokenCreateRequested{admin(), ReplyId(2), {}, Role::kViewer, "", "t", {}});
  const TokenId token = cluster.last<Reply>().token;
  const auto revoke = [&](TokenId t, JoinFileId j) {
    cluster.step(TokenRevokeRequested{admin(), ReplyId(2), t, j});
    return code(cluster);
  };
  EXPECT_EQ(revoke(token, {}), Code::kOk);
  EXPECT_EQ(cluster.facts<TokenRevoked>().at(0).actor, 1U);
  EXPECT_EQ(cluster.last<EndPrincipal>().id, token.value());
  EXPECT_EQ(cluster.last<EndPrincipal>().kind, PrincipalKind::kPerson);
  EXPECT_EQ(revoke(token, {}), Code::kOk);
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_EQ(cluster.all<EndPrincipal>().size(), 1U);
  EXPECT_EQ(revoke({}, JoinFileId(1)), Code::kOk);
  EXPECT_EQ(cluster.facts<JoinFileRevoked>().at(0).actor, 1U);
  EXPECT_EQ(cluster.last<EndPrincipal>().kind, PrincipalKind::kJoin);
  EXPECT_EQ(revoke({}, JoinFileId(1)), Code::kOk);
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_EQ(revoke(TokenId(9), {}), Code::kNotFound);
  EXPECT_EQ(revoke({}, JoinFileId(9)), Code::kNotFound);
  EXPECT_TRUE(cluster.all<EndPrincipal>().empty());
}

}  // namespace
}  // namespace overwinter::core::test
