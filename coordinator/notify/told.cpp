#include "coordinator/notify/told.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace overwinter::notify {

Result<Told> Told::read(std::string_view text) {
  const auto refused = fail(Code::kDataLoss, "it is not what this program writes");
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || json.value("version", nlohmann::json()) != 1) return refused;
  const auto hooks = json.value("hooks", nlohmann::json());
  const auto told = json.value("told", nlohmann::json());
  if (!hooks.is_object() || !told.is_object()) return refused;
  Told out;
  for (const auto& [name, since] : hooks.items()) {
    if (!since.is_number_integer()) return refused;
    out.hooks_[name] = time_from_unix_ms(since.get<std::int64_t>());
  }
  for (const auto& [owner, keys] : told.items()) {
    if (!keys.is_object()) return refused;
    for (const auto& [key, names] : keys.items()) {
      if (!names.is_array()) return refused;
      for (const auto& name : names) {
        if (!name.is_string()) return refused;
        out.add(name.get<std::string>(), owner, key);
      }
    }
  }
  out.changed_ = false;
  return out;
}

std::string Told::text() const {
  nlohmann::json json;
  json["version"] = 1;
  json["hooks"] = nlohmann::json::object();
  for (const auto& [name, since] : hooks_) json["hooks"][name] = unix_ms(since);
  json["told"] = nlohmann::json::object();
  for (const auto& [owner, keys] : told_) {
    for (const auto& [key, names] : keys) json["told"][owner][key] = names;
  }
  return json.dump(1) + "\n";
}

void Told::set_hooks(const std::vector<std::string>& names, Time now) {
  const std::set<std::string> wanted(names.begin(), names.end());
  const auto gone =
      std::erase_if(hooks_, [&](const auto& hook) { return !wanted.contains(hook.first); });
  changed_ = changed_ || gone != 0;
  for (const auto& name : wanted) {
    changed_ = hooks_.emplace(name, now).second || changed_;
  }
}

bool Told::has(const std::string& name, const std::string& owner, const std::string& key) const {
  const auto of = told_.find(owner);
  if (of == told_.end()) return false;
  const auto names = of->second.find(key);
  return names != of->second.end() && names->second.contains(name);
}

bool Told::open(const std::string& hook, const std::string& owner, const std::string& key,
                Time at) const {
  const auto since = hooks_.find(hook);
  return since != hooks_.end() && at >= since->second && !has(hook, owner, key);
}

void Told::add(const std::string& name, const std::string& owner, const std::string& key) {
  auto& names = told_[owner][key];
  if (names.empty()) ++keys_;
  changed_ = names.insert(name).second || changed_;
  while (keys_ > kToldMax) forget(told_.begin()->first);
}

void Told::remove(const std::string& name, const std::string& owner, const std::string& key) {
  const auto of = told_.find(owner);
  if (of == told_.end()) return;
  const auto names = of->second.find(key);
  if (names == of->second.end() || names->second.erase(name) == 0) return;
  changed_ = true;
  if (!names->second.empty()) return;
  --keys_;
  of->second.erase(names);
  if (of->second.empty()) told_.erase(of);
}

void Told::forget(const std::string& owner) {
  const auto of = told_.find(owner);
  if (of == told_.end()) return;
  keys_ -= of->second.size();
  told_.erase(of);
  changed_ = true;
}

bool Told::take_changed() {
  return std::exchange(changed_, false);
}

}  // namespace overwinter::notify
