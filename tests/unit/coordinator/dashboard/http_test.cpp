#include "coordinator/dashboard/http.h"

#include <google/protobuf/io/gzip_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace overwinter::dashboard {
namespace {

TEST(HttpTest, AQueryHasTheKeysThatItsRouteKnows) {
  const auto query =
      Query::read("filter=state%3DRUNNING%20AND+a&size=25&size=50", {"filter", "size"});
  ASSERT_TRUE(query) << query.error().message;
  EXPECT_EQ(query->text("filter"), "state=RUNNING AND+a");
  EXPECT_EQ(query->text("none"), "");
  EXPECT_EQ(query->number("size").value(), 50U);
  EXPECT_EQ(query->number("none").value(), std::nullopt);
  const auto other = Query::read("colour=red", {"filter", "size"});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kInvalidArgument);
  EXPECT_NE(other.error().message.find("filter, size"), std::string::npos);
  EXPECT_FALSE(Query::read("filter=%zz", {"filter"}));
  EXPECT_FALSE(Query::read("a=1", {}));
}

TEST(HttpTest, ANumberIsDigitsAlone) {
  for (const char* bad : {"x", "-1", "1x", "1.5", "18446744073709551616", "%201"}) {
    const auto query = Query::read("n=" + std::string(bad), {"n"});
    ASSERT_TRUE(query) << bad;
    const auto number = query->number("n");
    ASSERT_FALSE(number) << bad;
    EXPECT_EQ(number.error().field, "n");
  }
  EXPECT_EQ(Query::read("n=18446744073709551615", {"n"})->number("n").value(), UINT64_MAX);
}

TEST(HttpTest, ARefusalIsJsonWhateverItsWordsHold) {
  const Response response =
      refusal(error(Code::kNotFound, "no \"job\"\n\x01 \xFF", "name", "look again"));
  EXPECT_EQ(response.status, 404U);
  EXPECT_EQ(response.cache_control, "no-store");
  const auto json = nlohmann::json::parse(response.body);
  EXPECT_EQ(json.at("code"), "NOT_FOUND");
  EXPECT_EQ(json.at("message"), "no \"job\"\n\x01 \xEF\xBF\xBD");
  EXPECT_EQ(json.at("hint"), "look again");
}

std::string unpacked(const std::string& body) {
  google::protobuf::io::ArrayInputStream from(body.data(), static_cast<int>(body.size()));
  google::protobuf::io::GzipInputStream gzip(&from, google::protobuf::io::GzipInputStream::GZIP);
  std::string out;
  const void* piece = nullptr;
  int size = 0;
  while (gzip.Next(&piece, &size))
    out.append(static_cast<const char*>(piece), static_cast<std::size_t>(size));
  return out;
}

TEST(HttpTest, ALongAnswerIsPackedAndAShortOneIsNot) {
  nlohmann::json list = nlohmann::json::array();
  for (int i = 0; i < 200; ++i)
    list.push_back({{"name", "job-" + std::to_string(i)}, {"state", "RUNNING"}});
  const Response plain = as_json(list);
  Response packed = plain;
  pack(packed);
  EXPECT_EQ(packed.content_encoding, "gzip");
  EXPECT_LT(packed.body.size() * 4, plain.body.size());
  EXPECT_EQ(unpacked(packed.body), plain.body);
  const std::string once = packed.body;
  pack(packed);
  EXPECT_EQ(packed.body, once);
  Response small = as_json(nlohmann::json{{"a", 1}});
  pack(small);
  EXPECT_EQ(small.content_encoding, "");
}

TEST(HttpTest, WhoTakesGzip) {
  EXPECT_TRUE(takes_gzip("gzip, deflate;q=0.5"));
  EXPECT_TRUE(takes_gzip("br, gzip;q=0.8"));
  EXPECT_FALSE(takes_gzip("gzip;q=0, br"));
  EXPECT_FALSE(takes_gzip(""));
}

}  // namespace
}  // namespace overwinter::dashboard
