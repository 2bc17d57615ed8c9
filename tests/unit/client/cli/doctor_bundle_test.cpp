#include "client/cli/doctor_bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <google/protobuf/reflection.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/cli/output.h"
#include "common/security/certificate.h"
#include "common/security/token.h"

namespace overwinter::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using testing::HasSubstr;
using testing::Not;

// One of each kind of secret, in a sentence, and the part of it that must be gone.
struct Canary {
  std::string text;
  std::string secret;
};
std::vector<Canary> canaries() {
  const std::string token = make_token();
  const std::string code = "ow1_" + token.substr(3);
  const std::string key = generate_key().value();
  return {
      {"the token " + token + " of ann", token.substr(3)},
      {"`overwinter login` with " + code, code.substr(4)},
      {"capability owc1_" + token.substr(3) + ".sig", token.substr(3)},
      {"Authorization: Bearer abcdefghijklmnop", "abcdefghijklmnop"},
      {"join file:\n" + key, key.substr(40, 60)},
      {"hook https://hooks.example.com/services/T0/B0SECRETPART said 500", "B0SECRETPART"},
      {"(HTTPS://ann:WordOfPass@hooks.example.com/x)", "WordOfPass"},
      {"at http://10.0.0.7:8080?key=QUERYSECRET", "QUERYSECRET"},
  };
}

// Puts `text` into every text field of a message, one element of each list and map.
void plant(Message& message, const std::string& text, int depth) {
  const auto* reflection = message.GetReflection();
  const auto* descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    const bool is_text = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (is_text && field->is_repeated()) reflection->AddString(&message, field, text);
    if (is_text && !field->is_repeated()) reflection->SetString(&message, field, text);
    if (!is_message || depth == 0) continue;
    if (field->message_type()->file()->package() == "google.protobuf") continue;
    plant(field->is_repeated() ? *reflection->AddMessage(&message, field)
                               : *reflection->MutableMessage(&message, field),
          text, depth - 1);
  }
}

TEST(DoctorBundle, NoSecretIsInItWhereverItStood) {
  for (const Canary& canary : canaries()) {
    v1::DoctorReport report;
    plant(report, canary.text, 4);
    Bundle bundle;
    plant(*bundle.audit, canary.text, 2);
    bundle.command = {canary.text, canary.text, canary.text,
                      canary.text, canary.text, {canary.text}};
    // The scan finds it where nothing was taken out.
    const auto raw = nlohmann::json::parse(to_json(report));
    EXPECT_THAT(raw["address"].get<std::string>(), HasSubstr(canary.secret));
    const std::string text = bundle_text(report, bundle);
    EXPECT_THAT(text, Not(HasSubstr(canary.secret))) << canary.text;
    EXPECT_THAT(text, HasSubstr("[redacted]"));
    EXPECT_TRUE(nlohmann::json::accept(text));
  }
}

TEST(DoctorBundle, WhatHelpsStays) {
  v1::DoctorReport report;
  report.set_address("head.example:7600");
  report.mutable_status()->set_dashboard("https://head.example:7601");
  report.add_workers()->set_name("workers/anns-box");
  Bundle bundle;
  bundle.command.system = "Linux 6.1 x86_64";
  bundle.command.environment = {"OVERWINTER_TOKEN"};
  v1::AuditEntry& entry = *bundle.audit->add_entries();
  entry.set_actor("tokens/7 (ann)");
  entry.set_action("job.pause");
  const auto out = nlohmann::json::parse(bundle_text(report, bundle));
  EXPECT_EQ(out["address"], "head.example:7600");
  EXPECT_EQ(out["status"]["dashboard"], "https://head.example:7601");
  EXPECT_EQ(out["workers"][0]["name"], "workers/anns-box");
  EXPECT_EQ(out["bundle"]["format"], 1);
  EXPECT_EQ(out["bundle"]["command"]["system"], "Linux 6.1 x86_64");
  EXPECT_EQ(out["bundle"]["command"]["environment"][0], "OVERWINTER_TOKEN");
  EXPECT_EQ(out["bundle"]["audit"]["entries"][0]["actor"], "tokens/7 (ann)");
}

TEST(DoctorBundle, WhoMayNotReadTheAuditSaysSo) {
  Bundle bundle;
  bundle.audit = fail(Code::kPermissionDenied, "a viewer may not", {}, "an auditor may");
  const auto out = nlohmann::json::parse(bundle_text({}, bundle));
  EXPECT_EQ(out["bundle"]["audit"]["message"], "a viewer may not");
}

TEST(DoctorBundle, AddressesKeepTheirHosts) {
  EXPECT_EQ(redact_for_strangers("at https://a.example:1/x/y?z and http://b/ too"),
            "at https://a.example:1/[redacted] and http://b/ too");
  EXPECT_EQ(redact_for_strangers("https://u:p@a/x"), "https://[redacted]@a/[redacted]");
  EXPECT_EQ(redact_for_strangers("artifact://abc/def, h://x/y"), "artifact://abc/def, h://x/y");
  EXPECT_EQ(redact_for_strangers("https://"), "https://");
  EXPECT_EQ(redact_for_strangers(""), "");
}

}  // namespace
}  // namespace overwinter::cli
