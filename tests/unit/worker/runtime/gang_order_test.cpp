#include "worker/runtime/gang_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace overwinter::worker {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

// Addresses of TEST-NET-2: no machine's own.
GangOrder an_order() {
  GangOrder order;
  order.key = {JobId(7), 2};
  order.hosts = {{"198.51.100.1", "198.51.100.1:7610", WorkerId(1), 2, ""},
                 {"198.51.100.2", "198.51.100.2:7610", WorkerId(2), 1, "token"}};
  order.network = "198.51.100.0/24";
  order.oob_port = 7700;
  order.uid = 61300;
  order.gid = 61300;
  order.tasks.resize(2);
  return order;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += word + " ";
  return out;
}

TEST(GangOrder, ranks_are_numbered_along_the_hosts) {
  const GangOrder order = an_order();
  EXPECT_EQ(order.ranks(), 3U);
  EXPECT_EQ(order.first_rank(0), 0U);
  EXPECT_EQ(order.first_rank(1), 2U);
  EXPECT_TRUE(check_order(order).ok()) << check_order(order).message;
}

TEST(GangOrder, what_open_mpi_would_do_something_else_with_is_refused) {
  const auto refused = [](const std::function<void(GangOrder&)>& change, const char* why) {
    GangOrder order = an_order();
    change(order);
    const Status status = check_order(order);
    EXPECT_EQ(status.code, Code::kInvalidArgument) << why;
    EXPECT_THAT(status.message, HasSubstr(why));
  };
  refused([](GangOrder& o) { o.hosts[1].mpi_address = "198.51.100.1"; }, "have the address");
  refused([](GangOrder& o) { o.hosts[1].mpi_address = "127.0.0.1"; }, "this machine's own");
  refused([](GangOrder& o) { o.hosts[1].mpi_address = "name.example"; }, "no IPv4 address");
  refused([](GangOrder& o) { o.hosts[1].token.clear(); }, "no launch token");
  refused([](GangOrder& o) { o.network = "198.51.100.0"; }, "no IPv4 network");
  refused([](GangOrder& o) { o.network = "198.51.100.0/33"; }, "no IPv4 network");
  refused([](GangOrder& o) { o.tasks.resize(1); }, "1 tasks for 2 ranks");
  refused([](GangOrder& o) { o.hosts[1].slots = 0; }, "ranks");
  refused([](GangOrder& o) { o.hosts[1].slots = 4'000'000'000U; }, "ranks");
  refused([](GangOrder& o) { o.self = 2; }, "needs hosts");
  refused([](GangOrder& o) { o.key.attempt = 0; }, "needs a job");
  refused([](GangOrder& o) { o.uid = 0; }, "never run as root");
  refused([](GangOrder& o) { o.oob_port = 0; }, "port");
}

TEST(GangOrder, mpirun_is_called_as_was_measured) {
  GangPrograms programs;
  programs.agent = "/usr/libexec/overwinter-launch-agent";
  programs.rank = "/usr/libexec/overwinter-rank";
  GangOrder order = an_order();
  order.deadlines.run = Duration(90'500);
  const std::string line = joined(mpirun_command(order, programs));
  for (const char* part :
       {"--mca plm rsh", "--mca plm_rsh_agent /usr/libexec/overwinter-launch-agent",
        "--mca plm_rsh_no_tree_spawn 1", "--mca routed direct",
        "--mca oob_tcp_if_include 198.51.100.0/24", "--mca btl_tcp_if_include 198.51.100.0/24",
        "--mca btl tcp,vader,self", "--mca oob_tcp_static_ipv4_ports 7700",
        "--mca btl_tcp_port_min_v4 7620", "--mca btl_tcp_port_range_v4 180",
        "--mca oob_tcp_keepalive_time 5", "--mca oob_tcp_keepalive_intvl 2",
        "--mca oob_tcp_keepalive_probes 3", "--timeout 91", "--host 198.51.100.1:2,198.51.100.2:1",
        "--mca odls_base_sigkill_timeout 0", "--wdir / /usr/libexec/overwinter-rank"}) {
    EXPECT_THAT(line, HasSubstr(part));
  }
  // A user's program has its second after SIGTERM.
  order.programs = true;
  EXPECT_THAT(joined(mpirun_command(order, programs)), Not(HasSubstr("sigkill_timeout")));
}

TEST(GangOrder, of_a_launch_only_settings_of_orted_pass) {
  const GangPrograms programs;
  const std::vector<std::string> words = {"orted", "--daemonize", "-mca",   "ess",
                                          "env",   "--mca",       "routed", "direct"};
  const auto command = orted_command(words, programs);
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_EQ(*command, (std::vector<std::string>{"/usr/bin/orted", "-mca", "ess", "env", "--mca",
                                                "routed", "direct"}));
  for (const std::vector<std::string>& bad :
       std::vector<std::vector<std::string>>{{},
                                             {"sh", "-c", "id"},
                                             {"orted", "-mca", "ess"},
                                             {"orted", "--prefix", "/x"},
                                             {"orted", "-mca", "mca_base_component_path", "/x"},
                                             {"orted", std::string(20'000, 'x')},
                                             std::vector<std::string>(400, "orted")}) {
    const auto refused = orted_command(bad, programs);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kPermissionDenied);
  }
}

TEST(GangOrder, the_environment_is_its_own) {
  ::setenv("OVERWINTER_TEST_SECRET", "canary", 1);
  const auto environment = gang_environment("/jobs/7-2", "/run/7-2.sock", "");
  EXPECT_THAT(environment, IsSupersetOf({"TMPDIR=/jobs/7-2", "HOME=/jobs/7-2",
                                         "OMPI_MCA_btl_vader_backing_directory=/jobs/7-2",
                                         "OVERWINTER_GANG_SOCKET=/run/7-2.sock"}));
  EXPECT_THAT(environment, Not(Contains(HasSubstr("canary"))));
  EXPECT_THAT(environment, Not(Contains(HasSubstr("OPAL_"))));
}

TEST(GangOrder, a_bundled_open_mpi_is_told_where_it_lies) {
  EXPECT_THAT(
      gang_environment("/jobs/7-2", "/run/7-2.sock", "/opt/overwinter"),
      IsSupersetOf({"OPAL_PREFIX=/opt/overwinter", "OPAL_PKGLIBDIR=/opt/overwinter/lib/openmpi",
                    "PMIX_PKGLIBDIR=/opt/overwinter/lib/pmix"}));
}

}  // namespace
}  // namespace overwinter::worker
