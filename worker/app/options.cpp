#include "worker/app/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <iostream>

#include "common/base/bytes.h"
#include "common/base/version.h"

namespace overwinter::worker {
namespace {

constexpr const char* kExamples = R"(
Examples:
  overwinter-worker --join join.file
      joins the cluster with everything this machine has, then works; settings are kept
  overwinter-worker --join join.file --name box-7 --device cpu:memory=4GiB,threads=2 --data-dir /srv/ow
  overwinter-worker --join join.file --device gpu --device cpu:threads=4
      offers every GPU that is found, and four threads beside them
  overwinter-worker --data-dir /srv/ow
      starts again what has joined before
Exit codes: 0 stopped as asked, 2 usage or settings, 3 cannot reach the coordinator while joining, 4 refused.)";

std::vector<std::string> split(std::string_view text, char by) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto at = text.find(by);
    parts.emplace_back(text.substr(0, at));
    text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
  }
  return parts;
}

std::string usage(Options& options, const std::vector<std::string>& devices,
                  const std::vector<std::string>& labels, const std::vector<std::string>& mounts,
                  const std::string& projects, const std::string& price) {
  for (const std::string& text : devices) {
    auto device = parse_device(text);
    if (!device) return device.error().message;
    options.devices.push_back(*device);
  }
  for (const std::string& all : labels) {
    for (const std::string& label : split(all, ',')) {
      const auto equals = label.find('=');
      if (equals == 0 || equals == std::string::npos)
        return "--labels takes KEY=VALUE, not " + label;
      options.labels[label.substr(0, equals)] = label.substr(equals + 1);
    }
  }
  for (const std::string& text : mounts) {
    auto mount = exec::parse_allowed_mount(text);
    if (!mount) return mount.error().message;
    options.allow_mounts.push_back(std::move(*mount));
  }
  options.projects = split(projects, ',');
  if (!price.empty()) {
    auto money = parse_hourly_price(price);
    if (!money) return money.error().message;
    options.price_per_hour = *money;
  }
  if (options.data_dir.empty()) options.data_dir = default_data_dir();
  return {};
}

Status read_size(const std::string& key, const std::string& value, std::uint64_t& into) {
  auto bytes = parse_bytes(value);
  if (!bytes)
    return error(Code::kInvalidArgument, "--device " + key + ": " + bytes.error().message,
                 "device");
  if (*bytes < 16 * kMiB)
    return error(Code::kInvalidArgument, "--device " + key + ": at least 16 MiB, not " + value,
                 "device");
  into = *bytes;
  return Status::success();
}

// One key=value of a --device.
Status read_key(const std::string& key, const std::string& value, DeviceSpec& spec) {
  constexpr std::size_t kUuidMax = 96;
  if (key == "memory") return read_size(key, value, spec.memory_bytes);
  if (key == "threads") {
    const auto [end, failed] =
        std::from_chars(value.data(), value.data() + value.size(), spec.threads);
    if (failed != std::errc() || end != value.data() + value.size() || spec.threads == 0 ||
        spec.threads > 4096) {
      return error(Code::kInvalidArgument,
                   "--device threads: a number from 1, not \"" + value + "\"", "device");
    }
    return Status::success();
  }
  if (spec.gpu && key == "host-memory") return read_size(key, value, spec.host_memory_bytes);
  if (spec.gpu && key == "uuid" && !value.empty() && value.size() <= kUuidMax) {
    spec.uuid = value;
    return Status::success();
  }
  if (spec.gpu && key == "uuid")
    return error(Code::kInvalidArgument,
                 "--device uuid: as `nvidia-smi -L` shows it, not \"" + value + "\"", "device");
  return error(Code::kInvalidArgument,
               "--device: unknown key \"" + key + "\"; " +
                   (spec.gpu ? "uuid, memory, threads and host-memory are known of a GPU"
                             : "memory and threads are known"),
               "device");
}

}  // namespace

Result<DeviceSpec> parse_device(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  if (kind != "cpu" && kind != "gpu") {
    return fail(Code::kInvalidArgument,
                "--device: devices are of the kind cpu or gpu, not \"" + std::string(kind) +
                    "\"; which GPU one is, is found out",
                "device", "for example cpu:memory=4GiB,threads=1, or gpu");
  }
  DeviceSpec spec;
  spec.gpu = kind == "gpu";
  if (colon == std::string_view::npos) return spec;
  for (const std::string& part : split(text.substr(colon + 1), ',')) {
    const auto equals = part.find('=');
    const std::string key = part.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
    if (Status read = read_key(key, value, spec); !read.ok()) return fail(std::move(read));
  }
  return spec;
}

Result<Money> parse_hourly_price(std::string_view text) {
  if (!text.ends_with("/h")) {
    return fail(Code::kInvalidArgument, "--price is an amount an hour, for example 1.89/h",
                "price");
  }
  auto money = parse_money(text.substr(0, text.size() - 2));
  if (!money) return fail(Code::kInvalidArgument, "--price: " + money.error().message, "price");
  return money;
}

std::filesystem::path default_data_dir() {
  if (::geteuid() == 0) return "/var/lib/overwinter-worker";
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  const std::filesystem::path base =
      state != nullptr && *state != '\0'
          ? std::filesystem::path(state)
          : std::filesystem::path(home != nullptr ? home : ".") / ".local" / "state";
  return base / "overwinter-worker";
}

Parsed parse_options(int argc, const char* const* argv) {
  Parsed parsed;
  Options& options = parsed.options;
  std::vector<std::string> devices;
  std::vector<std::string> labels;
  std::vector<std::string> mounts;
  std::string projects;
  std::string price;
  CLI::App app{"overwinter-worker: offers this machine's devices to a cluster and works for it"};
  app.name("overwinter-worker");
  app.footer(kExamples);
  app.set_version_flag("--version", std::string(kVersion));
  app.add_option("--join", options.join_file, "file of `overwinter tokens create --role worker`");
  app.add_option("--name", options.name, "name of this worker (default: the host's name)");
  app.add_option("--device", devices,
                 "cpu[:memory=SIZE][,threads=N], or "
                 "gpu[:uuid=UUID][,memory=SIZE][,threads=N][,host-memory=SIZE]; may be repeated "
                 "(default: the processor and every GPU that is found)")
      ->take_all();
  app.add_option("--labels", labels, "KEY=VALUE[,KEY=VALUE]")->take_all();
  app.add_option("--projects", projects, "works only for these projects: P,Q");
  app.add_option(
      "--peer-address", options.peer_address,
      "where other workers of a gang reach this one: auto, an IPv4 address or an interface");
  app.add_flag("--shared-network", options.shared_network,
               "gangs of several projects may share this machine's network");
  app.add_option(
      "--job-dir", options.job_dir,
      "where gangs work; the same on every machine (default: " + options.job_dir.string() + ")");
  app.add_flag("--no-exec", options.no_exec,
               "runs no programs of users, only trainings and products");
  app.add_option("--allow-mount", mounts,
                 "a folder that jobs may see, PATH or PATH=PROJECT; may be repeated")
      ->take_all();
  app.add_flag("--spot", options.spot, "this machine may be taken away at any time");
  app.add_option("--price", price, "of the whole machine, 1.89/h, where the join file allows it");
  app.add_option("--data-dir", options.data_dir,
                 "certificate, settings and records; once joined this alone is needed (default: " +
                     default_data_dir().string() + ")");
  app.add_flag("--healthy", options.healthy,
               "says whether the worker of --data-dir is connected, and ends: 0 or 1");
  app.add_flag("--log-json", options.log_json, "log lines as JSON");
#ifdef OVERWINTER_TEST_SWITCHES
  app.add_option("--test-lie", options.lie,
                 "corrupts tiles: flip|zero|stale|swap|reverse[:N], every N-th");
  app.add_option("--test-version", options.version, "says that it is of this version");
  app.add_option("--test-days-ahead", options.days_ahead,
                 "looks each half second whether its certificate is due so many days later");
  app.add_option("--test-units-per-second", options.units_per_second,
                 "does no work: tells of so many units a second as done, one by one")
      ->check(CLI::Range(1, 100'000));
#endif
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    parsed.exit = app.exit(error) == 0 ? 0 : 2;
    return parsed;
  }
  const std::string mistake = usage(options, devices, labels, mounts, projects, price);
  if (!mistake.empty()) {
    std::cerr << "overwinter-worker: " << mistake << "\n";
    parsed.exit = 2;
  }
  return parsed;
}

}  // namespace overwinter::worker
