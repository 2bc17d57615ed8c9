#include "common/security/join_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "common/security/ca.h"
#include "common/security/file_io.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter {
namespace {

using test::must;
using testing::HasSubstr;
using Json = nlohmann::json;

constexpr Duration kDay = std::chrono::hours(24);
const Time kNow = time_from_unix_ms(1'795'600'000'000);

class JoinFileTest : public testing::Test {
 protected:
  // gRPC reads the same thread's error queue: what we leave there would break someone's connection.
  void TearDown() override { EXPECT_EQ(ERR_peek_error(), 0u); }

  JoinFileTest() : ca_(must(CertificateAuthority::create(folder_ / "ca", "demo", kNow))) {
    file_.cluster = "demo";
    file_.id = "7";
    file_.addresses = {"10.0.0.1:7602", "[::1]:7602"};
    file_.root_fingerprint = must(parse_digest(ca_.root_fingerprint_hex()));
    file_.root_pem = ca_.root_pem();
    file_.leaf = must(ca_.issue_join("7", kNow, kDay));
    file_.expires = kNow + kDay;
  }
  // The error of the example after `change`.
  Status after(const std::function<void(Json&)>& change) {
    Json json = Json::parse(encode_join_file(file_));
    change(json);
    const Result<JoinFile> read = decode_join_file(json.dump(), kNow);
    return read ? Status::success() : read.error();
  }

  test::TemporaryFolder folder_;
  CertificateAuthority ca_;
  JoinFile file_;
};

TEST_F(JoinFileTest, ComesBackFromAPrivateFile) {
  const auto path = folder_ / "join.file";
  ASSERT_TRUE(write_join_file(path, file_).ok());
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const ReadJoinFile read = must(read_join_file(path, kNow));
  EXPECT_EQ(read.warning, "");
  EXPECT_EQ(read.file.cluster, "demo");
  EXPECT_EQ(read.file.id, "7");
  EXPECT_EQ(read.file.addresses, file_.addresses);
  EXPECT_EQ(read.file.root_fingerprint, file_.root_fingerprint);
  EXPECT_EQ(read.file.root_pem, file_.root_pem);
  EXPECT_EQ(read.file.leaf.key_pem, file_.leaf.key_pem);
  EXPECT_EQ(read.file.leaf.cert_chain_pem, file_.leaf.cert_chain_pem);
  EXPECT_EQ(read.file.expires, file_.expires);
}

TEST_F(JoinFileTest, AFileOthersCanReadIsTakenWithAWarning) {
  const auto path = folder_ / "join.file";
  ASSERT_TRUE(write_join_file(path, file_).ok());
  ::chmod(path.c_str(), 0644);
  EXPECT_THAT(must(read_join_file(path, kNow)).warning, HasSubstr("chmod 600"));
}

TEST_F(JoinFileTest, EachMissingOrWrongKeyIsNamed) {
  for (const char* key : {"kind", "cluster", "id", "addresses", "rootSha256", "certificatePem",
                          "keyPem", "expires"}) {
    const Status missing = after([&](Json& json) { json.erase(key); });
    EXPECT_EQ(missing.code, Code::kInvalidArgument);
    EXPECT_EQ(missing.field, key);
    EXPECT_THAT(missing.message, HasSubstr(std::string("\"") + key + "\" is missing"));
    for (const Json& wrong : {Json(7), Json(nullptr), Json::object(), Json("")}) {
      const Status status = after([&](Json& json) { json[key] = wrong; });
      EXPECT_EQ(status.code, Code::kInvalidArgument) << key << wrong;
      EXPECT_EQ(status.field, key) << wrong;
    }
  }
  EXPECT_TRUE(after([](Json& json) { json.erase("rootPem"); }).ok());
  EXPECT_TRUE(after([](Json& json) { json["somethingNew"] = 1; }).ok());
}

TEST_F(JoinFileTest, PartsThatDoNotBelongTogetherAreRefused) {
  EXPECT_EQ(after([](Json& json) { json["id"] = "8"; }).field, "certificatePem");
  EXPECT_EQ(after([](Json& json) { json["cluster"] = "prod"; }).field, "certificatePem");
  EXPECT_EQ(after([](Json& json) { json["rootSha256"] = std::string(64, '0'); }).field, "rootPem");
  EXPECT_EQ(after([](Json& json) { json["keyPem"] = must(generate_key()); }).field, "keyPem");
  EXPECT_EQ(after([](Json& json) { json["keyPem"] = "rubbish"; }).field, "keyPem");
  EXPECT_EQ(after([](Json& json) { json["rootSha256"] = "12"; }).field, "rootSha256");
  EXPECT_EQ(after([](Json& json) { json["expires"] = "soon"; }).field, "expires");
  EXPECT_EQ(after([](Json& json) { json["kind"] = "overwinter-join-2"; }).field, "kind");
  EXPECT_EQ(after([](Json& json) { json["addresses"] = Json::array({"a b:1"}); }).field,
            "addresses");
  EXPECT_EQ(after([](Json& json) { json["addresses"] = Json::array(); }).field, "addresses");
  EXPECT_EQ(
      after([](Json& json) { json["addresses"] = std::vector<std::string>(17, "a:1"); }).field,
      "addresses");
  EXPECT_EQ(after([&](Json& json) { json["certificatePem"] = ca_.root_pem(); }).field,
            "certificatePem");
}

TEST_F(JoinFileTest, AnEndedFileSaysWhenItEndedAndWhatToDo) {
  const Result<JoinFile> read = decode_join_file(encode_join_file(file_), kNow + 2 * kDay);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(read.error().message, HasSubstr(format_time(file_.expires)));
  EXPECT_THAT(read.error().hint, HasSubstr("overwinter tokens create --role worker"));
}

TEST_F(JoinFileTest, TheEarlierOfTheTwoEndsCounts) {
  const Status status =
      after([](Json& json) { json["expires"] = format_time(kNow - Duration(1)); });
  EXPECT_EQ(status.code, Code::kFailedPrecondition) << "the certificate is still good";
  const Status later = after([](Json& json) { json["expires"] = format_time(kNow + 9 * kDay); });
  EXPECT_TRUE(later.ok());
  file_.expires = kNow + 9 * kDay;
  EXPECT_EQ(decode_join_file(encode_join_file(file_), kNow + 2 * kDay).error().code,
            Code::kFailedPrecondition);
}

TEST_F(JoinFileTest, RubbishIsRefusedInOneSentence) {
  for (const std::string& text :
       {std::string(), std::string("hello"), std::string("[]"), std::string("{"), std::string("7"),
        std::string("\0\0", 2), std::string(60'000, '['), "{\"kind\":\"\xff\"}" + std::string()}) {
    const Result<JoinFile> read = decode_join_file(text, kNow);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Code::kInvalidArgument);
    EXPECT_EQ(read.error().message.find('\n'), std::string::npos);
  }
  const auto path = folder_.put("big", std::string(70'000, ' '));
  EXPECT_THAT(read_join_file(path, kNow).error().message, HasSubstr("longer than 65536 bytes"));
  EXPECT_EQ(read_join_file(folder_ / "none", kNow).error().code, Code::kNotFound);
  EXPECT_THAT(read_join_file(folder_.path(), kNow).error().message,
              HasSubstr("not a regular file"));
}

TEST_F(JoinFileTest, EveryTruncationIsRefused) {
  const std::string text = encode_join_file(file_);
  for (std::size_t length = 0; length + 2 < text.size(); length += 7)
    EXPECT_FALSE(decode_join_file(text.substr(0, length), kNow)) << length;
}

}  // namespace
}  // namespace overwinter
