#include "client/cli/audit_text.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace overwinter::cli {
namespace {

v1::AuditEntry entry() {
  v1::AuditEntry out;
  out.set_number(12);
  out.mutable_time()->set_seconds(1'764'000'000);
  out.set_actor("tokens/7 (ann)");
  out.set_role("admin");
  out.set_action("job.update");
  out.set_object("projects/demo/jobs/gpt-7k2f9");
  out.set_before("cap 0.5");
  out.set_after("cap 0.8");
  out.set_outcome("done");
  return out;
}

TEST(AuditText, ARowFits80ColumnsWhateverItHolds) {
  v1::ListAuditEntriesResponse list;
  *list.add_entries() = entry();
  v1::AuditEntry& refused = *list.add_entries();
  refused = entry();
  refused.set_actor("tokens/7 (" + std::string(200, 'x') + ")");
  refused.set_action("/api/v1/projects/{}/jobs/{}/logs:search");
  refused.set_outcome("PERMISSION_DENIED");
  refused.set_reason("a token with the role viewer may not\033[31m do this");
  refused.set_repeated_count(1989);
  const std::string text = audit_table(list).render(80);
  EXPECT_EQ(text.find('\033'), std::string::npos);
  EXPECT_NE(text.find("projects/demo/jobs"), std::string::npos);
  EXPECT_NE(text.find("PERMISSION_DENIED x1990"), std::string::npos);
  const std::string wide = audit_table_wide(list).render(0);
  EXPECT_NE(wide.find("cap 0.5"), std::string::npos);
  EXPECT_NE(wide.find("1989"), std::string::npos);
}

TEST(AuditText, AnExportedLineIsTheWholeEntry) {
  v1::AuditEntry odd = entry();
  odd.set_reason("two\nlines, \"quoted\", and é");
  const std::string line = audit_line(odd);
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_EQ(line.back(), '\n');
  v1::AuditEntry back;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &back).ok());
  EXPECT_EQ(back.SerializeAsString(), odd.SerializeAsString());
  EXPECT_NE(line.find("\"address\":\"\""), std::string::npos);  // fields without a value too
}

}  // namespace
}  // namespace overwinter::cli
