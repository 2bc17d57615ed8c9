#include "common/spec/price_book.h"

#include <yaml-cpp/yaml.h>

#include <set>
#include <string>

#include "common/base/bytes.h"
#include "common/base/money.h"
#include "common/base/time.h"

namespace overwinter::spec {
namespace {

constexpr std::size_t kPricesMax = 10'000;

tl::unexpected<Status> refuse(const YAML::Node& node, const std::string& what,
                              const std::string& field) {
  const int line = node.IsDefined() ? node.Mark().line + 1 : 0;
  return fail(
      Code::kInvalidArgument,
      "price book" + (line > 0 ? " line " + std::to_string(line) : std::string()) + ": " + what,
      field);
}

Status check_keys(const YAML::Node& map, const std::set<std::string>& known,
                  const std::string& field) {
  std::set<std::string> seen;
  for (const auto& pair : map) {
    if (!pair.first.IsScalar()) return refuse(map, "a key must be a word", field).value();
    const std::string key = pair.first.Scalar();
    if (known.count(key) == 0) {
      std::string list;
      for (const std::string& k : known) list += (list.empty() ? "" : ", ") + k;
      return refuse(pair.first, "there is no key \"" + key.substr(0, 80) + "\"; keys are " + list,
                    field)
          .value();
    }
    if (!seen.insert(key).second)
      return refuse(pair.first, "\"" + key + "\" stands twice", field).value();
    if (key != "prices" && !pair.second.IsScalar()) {
      return refuse(pair.first, "\"" + key + "\" must be one value", field).value();
    }
  }
  return Status::success();
}

Result<v1::PriceBook::Entry> parse_entry(const YAML::Node& node, const std::string& field) {
  if (!node.IsMap()) return refuse(node, "each price is a map {from, device, per_hour}", field);
  if (const Status s =
          check_keys(node, {"from", "device", "supplier", "spot", "per_hour", "minimum"}, field);
      !s.ok()) {
    return fail(s);
  }
  for (const char* key : {"from", "device", "per_hour"}) {
    if (!node[key])
      return refuse(node, std::string("\"") + key + "\" is missing", field + "." + key);
  }
  v1::PriceBook::Entry entry;
  auto from = parse_time(node["from"].Scalar());
  if (!from) return refuse(node["from"], from.error().message, field + ".from");
  const std::int64_t ms = unix_ms(*from);
  if (ms < 0) return refuse(node["from"], "a price begins after 1970", field + ".from");
  entry.mutable_from()->set_seconds(ms / 1000);
  entry.mutable_from()->set_nanos(static_cast<std::int32_t>(ms % 1000) * 1'000'000);
  entry.set_device(node["device"].Scalar());
  if (entry.device().empty() || entry.device().size() > 63) {
    return refuse(node["device"], "a device has 1 to 63 characters", field + ".device");
  }
  entry.set_supplier(node["supplier"] ? node["supplier"].Scalar() : "any");
  if (entry.supplier().empty() || entry.supplier().size() > 63) {
    return refuse(node["supplier"], "a supplier has 1 to 63 characters", field + ".supplier");
  }
  if (node["spot"]) {
    const std::string spot = node["spot"].Scalar();
    if (spot != "true" && spot != "false") {
      return refuse(node["spot"], "spot is true or false", field + ".spot");
    }
    entry.set_spot(spot == "true");
  }
  auto price = parse_money(node["per_hour"].Scalar());
  if (!price) return refuse(node["per_hour"], price.error().message, field + ".per_hour");
  entry.mutable_per_hour()->set_amount_micros(price->micros);
  if (node["minimum"]) {
    auto minimum = parse_duration(node["minimum"].Scalar());
    if (!minimum) return refuse(node["minimum"], minimum.error().message, field + ".minimum");
    entry.set_minimum(node["minimum"].Scalar());
  }
  return entry;
}

Result<v1::PriceBook> parse_root(const YAML::Node& root) {
  if (!root.IsMap()) return refuse(root, "it is a map of `currency` and `prices`", "prices");
  if (const Status s = check_keys(root, {"currency", "prices"}, "prices"); !s.ok()) return fail(s);
  v1::PriceBook book;
  if (!root["currency"])
    return refuse(root, "\"currency\" is missing, for example USD", "currency");
  const std::string currency = root["currency"].Scalar();
  const bool letters =
      currency.size() == 3 &&
      currency.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos;
  if (!letters) {
    return refuse(root["currency"], "a currency is three capital letters, for example USD",
                  "currency");
  }
  book.set_currency_code(currency);
  const YAML::Node prices = root["prices"];
  if (!prices || !prices.IsSequence()) return refuse(root, "\"prices\" must be a list", "prices");
  if (prices.size() > kPricesMax) {
    return refuse(prices, "more than " + std::to_string(kPricesMax) + " prices", "prices");
  }
  for (std::size_t i = 0; i < prices.size(); ++i) {
    auto entry = parse_entry(prices[i], "prices[" + std::to_string(i) + "]");
    if (!entry) return fail(entry.error());
    entry->mutable_per_hour()->set_currency_code(currency);
    *book.add_entries() = *entry;
  }
  return book;
}

}  // namespace

Result<v1::PriceBook> parse_price_book(std::string_view text) {
  if (text.size() > kMiB) {
    return fail(Code::kInvalidArgument, "a price book has at most 1 MiB", "yaml");
  }
  // Anchors and aliases are how a small text becomes a large tree; a price book needs neither.
  if (text.find('&') != std::string_view::npos || text.find('*') != std::string_view::npos) {
    return fail(Code::kInvalidArgument, "price book: anchors (&) and aliases (*) are not taken",
                "yaml");
  }
  try {
    auto book = parse_root(YAML::Load(std::string(text)));
    if (book) book->set_yaml(std::string(text));
    return book;
  } catch (const YAML::Exception& e) {
    return fail(Code::kInvalidArgument, std::string("price book: ") + e.what(), "yaml");
  }
}

}  // namespace overwinter::spec
