#include "common/domain/principal.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace overwinter {
namespace {

// The table of TRUST §1 and INTERFACE §4, written a second time: rows are permissions, letters the
// roles that have them (v viewer, s submitter, o operator, b billing, u auditor, a admin).
const std::map<Permission, std::string> kTable = {
    {Permission::kReadJobs, "vsoba"},        {Permission::kSubmitJobs, "soa"},
    {Permission::kActOnOwnJobs, "soa"},      {Permission::kReadWorkers, "vsoba"},
    {Permission::kActOnWorkers, "oa"},       {Permission::kReadMoney, "vsoba"},
    {Permission::kReadAllMoney, "oba"},      {Permission::kSetPrices, "a"},
    {Permission::kManageTokens, "a"},        {Permission::kManageProjects, "a"},
    {Permission::kReadAudit, "ua"},          {Permission::kKnowOneself, "vsobua"},
    {Permission::kReadMetrics, "voa"},       {Permission::kWorkerStream, ""},
    {Permission::kArtifactByCapability, ""}, {Permission::kJoin, ""},
};

TEST(Principal, RolesMayWhatTheTableSays) {
  const std::map<char, Role> roles = {{'v', Role::kViewer},   {'s', Role::kSubmitter},
                                      {'o', Role::kOperator}, {'b', Role::kBilling},
                                      {'u', Role::kAuditor},  {'a', Role::kAdmin}};
  for (const auto& [permission, letters] : kTable) {
    for (const auto& [letter, role] : roles) {
      EXPECT_EQ(role_may(role, permission), letters.find(letter) != std::string::npos)
          << role_name(role) << " and permission " << static_cast<int>(permission);
    }
    EXPECT_FALSE(role_may(Role::kNone, permission));
  }
}

TEST(Principal, WorkersAndJoinFilesMayTheirOwnAlone) {
  Principal worker;
  worker.kind = PrincipalKind::kWorker;
  worker.role = Role::kAdmin;  // a role on a certificate means nothing
  Principal join = worker;
  join.kind = PrincipalKind::kJoin;
  for (const auto& [permission, letters] : kTable) {
    EXPECT_EQ(may(worker, permission), permission == Permission::kWorkerStream ||
                                           permission == Permission::kArtifactByCapability);
    EXPECT_EQ(may(join, permission), permission == Permission::kJoin);
  }
  EXPECT_FALSE(sees_project(worker, "demo"));
}

TEST(Principal, ProjectsAreSeenByTheirOwnTokens) {
  Principal ann;
  ann.kind = PrincipalKind::kPerson;
  ann.project = "demo";
  EXPECT_TRUE(sees_project(ann, "demo"));
  EXPECT_FALSE(sees_project(ann, "other"));
  ann.project.clear();
  EXPECT_TRUE(sees_project(ann, "other"));
}

TEST(Principal, RoleNamesRoundTrip) {
  for (const Role role : {Role::kViewer, Role::kSubmitter, Role::kOperator, Role::kBilling,
                          Role::kAuditor, Role::kAdmin}) {
    EXPECT_EQ(parse_role(role_name(role)).value(), role);
  }
  EXPECT_EQ(parse_role("root").error().field, "role");
}

}  // namespace
}  // namespace overwinter
