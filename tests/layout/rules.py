"""What may include what: the tables of the architecture as data.

A room is a folder two levels deep. MAY_USE is complete: what is not listed fails. "proto" stands for the
generated headers of proto/overwinter/v1. A row that had to grow says so beside it and in the room's README.
"""

BASE, DOMAIN = "common/base", "common/domain"
SPEC, PLAN, VERIFY = "common/spec", "common/plan", "common/verify"
FORMATS, SECURITY = "common/formats", "common/security"
WIRE, RPC = "common/wire", "common/rpc"

MAY_USE = {
    BASE: set(),
    DOMAIN: {BASE},
    SPEC: {BASE, "proto"},
    # formats: headers of the files that a plan is made for, read by both ends.
    PLAN: {BASE, DOMAIN, "proto", FORMATS},
    VERIFY: {BASE, DOMAIN, PLAN},
    FORMATS: {BASE, DOMAIN},
    SECURITY: {BASE},
    WIRE: {BASE, DOMAIN, "proto"},
    # formats: the artifact client names contents by their digest.
    RPC: {BASE, DOMAIN, WIRE, SECURITY, FORMATS, "proto"},
    "coordinator/policy": {BASE, DOMAIN},
    "coordinator/ledger": {BASE, DOMAIN},
    "coordinator/core": {BASE, DOMAIN, "coordinator/policy", "coordinator/ledger"},
    # ledger, in wire and store: facts carry charges.
    "coordinator/wire": {"coordinator/core", "coordinator/ledger", WIRE, BASE, DOMAIN, "proto"},
    "coordinator/store": {"coordinator/core", "coordinator/ledger", "coordinator/wire", BASE, DOMAIN,
                          SECURITY, "proto"},
    "coordinator/artifacts": {BASE, DOMAIN, PLAN, VERIFY, FORMATS, SECURITY},
    "coordinator/telemetry": {BASE, DOMAIN, SECURITY},
    # A room that the table of rooms does not have: values of secrets stay out of what facts, backups and
    # history queries read, and rpc alone may ask for them.
    "coordinator/secrets": {BASE, SECURITY},
    # ledger: views carry a price book. verify, formats, security: the loop checks tiles with sketches
    # from the system's randomness and names results by digest; policy: explain asks it why a job waits;
    # common/wire: resources are messages, and values become messages in one place.
    "coordinator/runtime": {
        "coordinator/core", "coordinator/store", "coordinator/artifacts", "coordinator/telemetry",
        "coordinator/notify", "coordinator/ledger", "coordinator/policy", SPEC, PLAN, VERIFY, FORMATS,
        WIRE, SECURITY, "proto", BASE, DOMAIN},
    # A room that the table of rooms does not have: it reads what several rooms keep and nobody else reads as files, and
    # is used by rpc (a backup) and by app (a restore). runtime: which uploaded files a job reads.
    "coordinator/backup": {"coordinator/runtime", "coordinator/store", "coordinator/artifacts", "coordinator/core",
                           FORMATS, SECURITY, BASE, DOMAIN},
    # ledger, plan, formats: price books, shapes to plan by and headers of matrices cross it.
    "coordinator/rpc": {
        "coordinator/runtime", "coordinator/core", "coordinator/ledger", "coordinator/wire",
        "coordinator/store", "coordinator/artifacts", "coordinator/backup", "coordinator/secrets",
        "coordinator/telemetry", SPEC, PLAN, FORMATS, WIRE, RPC, SECURITY, "proto", BASE, DOMAIN},
    "coordinator/dashboard": {
        "coordinator/runtime", "coordinator/core", "coordinator/wire", "coordinator/store",
        "coordinator/artifacts", "coordinator/telemetry", WIRE, SECURITY, "proto", BASE, DOMAIN},
    # ledger: what an idle machine has cost, exactly. spec: its bounded reader of YAML, for notify.yaml.
    "coordinator/notify": {"coordinator/ledger", SPEC, BASE, DOMAIN, SECURITY},
    "worker/core": {BASE, DOMAIN},
    "worker/memory": {BASE},
    "worker/kernels": {"worker/memory", PLAN, BASE},
    # A room that the table of rooms does not have: compressing is no part of a training and needs nothing of train.
    "worker/compress": {"worker/kernels", "worker/memory", BASE},
    # A room that the table of rooms does not have (there CUDA is part of kernels and memory): what needs CUDA to be built lies
    # in one place, and the rooms that every machine runs stay as they are without it.
    "worker/cuda": {"worker/kernels", "worker/memory", BASE},
    "worker/collective": {"worker/memory", BASE},
    "worker/matmul": {"worker/kernels", "worker/collective", "worker/memory", PLAN, FORMATS, BASE,
                      DOMAIN, "proto"},
    "worker/train": {"worker/kernels", "worker/collective", "worker/memory", PLAN, FORMATS, BASE,
                     DOMAIN, "proto"},
    "worker/exec": {FORMATS, BASE, DOMAIN, "proto"},
    "worker/local": {BASE, DOMAIN, "proto"},
    # exec: a rank that is a program of the user's.
    "worker/gang": {"worker/exec", "worker/train", "worker/matmul", "worker/collective", "worker/kernels",
                    "worker/memory", "worker/local", PLAN, FORMATS, BASE, DOMAIN, "proto"},
    "worker/runtime": {
        "worker/core", "worker/matmul", "worker/train", "worker/exec", "worker/local",
        "worker/collective", "worker/kernels", "worker/memory", PLAN, FORMATS, SECURITY, BASE,
        DOMAIN, "proto"},
    # A room that the table of rooms does not have: the driver's library behind one header, for the daemon's
    # start and for the watch of programs' memory; exec does without.
    "worker/gpus": {BASE},
    # The user's programs as work of a gang: exec knows no seats, runtime no programs. gpus: whose memory it watches.
    "worker/programs": {"worker/runtime", "worker/exec", "worker/gpus", "worker/core", FORMATS, BASE, DOMAIN, "proto"},
    # core, matmul, plan: it turns messages into inputs of the core, as coordinator/rpc does, and is the
    # port through which a product reads its blocks.
    "worker/rpc": {"worker/runtime", "worker/core", "worker/matmul", PLAN, WIRE, RPC, SECURITY, "proto", BASE, DOMAIN},
    "client/sdk": {SPEC, FORMATS, RPC, WIRE, SECURITY, "proto", BASE, DOMAIN},
    # A room that the table of rooms does not have: the client's only HTTP, between a browser and the dashboard;
    # sdk and cli stay without Beast.
    "client/forward": {SECURITY, BASE},
}
# plan: facts of local data files, looked at by the code that the coordinator has for stored ones.
MAY_USE["client/cli"] = {"client/sdk", "client/forward", PLAN} | MAY_USE["client/sdk"]


def _all_of(*programs):
    return {room for room in MAY_USE if room.split("/")[0] in programs} | {"proto"}


MAY_USE["coordinator/app"] = _all_of("coordinator", "common")
MAY_USE["worker/app"] = _all_of("worker", "common")

# Suites over several rooms; None: any room. tests/unit/<room> is derived: its room and what that may use.
SUITES = {
    "tests/contract": None,
    "tests/integration": None,
    "tests/bench": None,
    "tests/fake_nvml": set(),
    "tests/gpu": None,
    "tests/layout": set(),
    # What a program of the test build holds beside its own code.
    "tests/worker_test": None,
    "tests/support": None,
    "tests/simulation": {"coordinator/core", "worker/core", "coordinator/policy",
                         "coordinator/ledger", "coordinator/artifacts", PLAN, BASE, DOMAIN},
}

# Library -> how its headers begin. What matches none of these and is no system header fails.
LIBRARIES = {
    "grpc": ("grpc/", "grpcpp/"),
    "protobuf": ("google/protobuf/",),
    "sqlite": ("sqlite3.h",),
    "beast": ("boost/asio", "boost/beast"),
    "url": ("boost/url",),
    "container": ("boost/container",),
    "openssl": ("openssl/",),
    "yaml": ("yaml-cpp/",),
    "re2": ("re2/",),
    "mpi": ("mpi.h",),
    "cblas": ("cblas.h",),
    "openblas": ("openblas_config.h",),
    "onednn": ("oneapi/dnnl/",),
    "cuda": ("cuda_runtime_api.h", "cuda_runtime.h", "cublasLt.h"),
    "xxhash": ("xxhash.h",),
    "seccomp": ("seccomp.h",),
    "json": ("nlohmann/",),
    "cli": ("CLI/",),
    "spdlog": ("spdlog/",),
    "fmt": ("fmt/",),
    "expected": ("tl/",),
    "prometheus": ("prometheus/",),
    "gtest": ("gtest/", "gmock/"),
    "benchmark": ("benchmark/",),
    "posix": ("sys/", "netinet/", "arpa/", "linux/", "net/", "unistd.h", "fcntl.h", "dirent.h",
              "poll.h", "signal.h", "netdb.h", "ifaddrs.h", "termios.h", "spawn.h", "sched.h",
              "pthread.h", "pwd.h", "grp.h", "malloc.h", "dlfcn.h", "ftw.h", "glob.h"),
    "asan": ("sanitizer/",),
    "simd": ("immintrin.h", "emmintrin.h", "xmmintrin.h", "cpuid.h", "x86intrin.h"),
}

ANY = "any room"
MAY_INCLUDE = {
    # client/sdk holds the stubs of the services that it calls; wire turns a grpc::Status into ours.
    "grpc": {SECURITY, WIRE, RPC, "coordinator/rpc", "worker/rpc", "client/sdk"},
    "sqlite": {"coordinator/store"},
    # notify: webhooks by the library that the dashboard has, instead of libcurl.
    "beast": {"coordinator/dashboard", "coordinator/notify", "client/forward"},
    "url": {"coordinator/dashboard", "client/cli"},
    # Headers alone. A flat map of jobs is looked at eight times as fast as std::map: C++20 has none.
    "container": {"coordinator/runtime"},
    # coordinator/dashboard: by the server name that a client asks for it shows one certificate or the other.
    # store and artifacts chain and name what they keep by digest; formats is where a digest is made. client/forward:
    # Asio hands it the server's certificate as OpenSSL's.
    "openssl": {SECURITY, RPC, "coordinator/rpc", "worker/rpc", "client/cli", "client/forward", FORMATS,
                "coordinator/dashboard", "coordinator/store", "coordinator/artifacts"},
    # client/sdk: the client's own configuration file.
    "yaml": {SPEC, "client/sdk"},
    # Patterns of metrics are the user's: RE2 takes linear time and bounded memory, whatever they are.
    "re2": {SPEC, "worker/exec"},
    "mpi": {"worker/gang"},
    "cblas": {"worker/kernels"},
    "openblas": {"worker/kernels"},
    "onednn": {"worker/kernels"},
    "cuda": {"worker/cuda"},
    "xxhash": {"worker/kernels", "coordinator/store", "coordinator/artifacts", FORMATS, RPC,
               # Checksums of records in segments.
               "coordinator/telemetry"},
    "seccomp": {"worker/exec"},
    "json": {SPEC, FORMATS, SECURITY, "coordinator/dashboard", "coordinator/app", "coordinator/notify",
             "coordinator/rpc", "worker/app", "worker/rpc", "client/sdk", "client/cli"},
    "cli": {"coordinator/app", "worker/app", "client/cli"},
    "spdlog": {BASE},
    "expected": {BASE},
    "prometheus": {"coordinator/dashboard"},
    "fmt": ANY,
    "simd": {"worker/kernels", "worker/collective", "worker/train", "coordinator/artifacts", VERIFY},
    # In builds with AddressSanitizer alone: what is free in a pool is marked.
    "asan": {"worker/memory"},
    # posix: everywhere but in the pure rooms (below). protobuf: where "proto" may be used.
    "posix": ANY,
    "gtest": set(),
    "benchmark": set(),
}
# What tests may include beside what their room may.
TEST_LIBRARIES = {"gtest", "json", "posix", "fmt"}

# Headers so heavy that they stay out of every .h but those of the rooms that own them, and are reached
# through no header of ours from any other room.
HEAVY = ("grpc", "beast", "sqlite", "openssl", "yaml", "cli", "spdlog")

# Rooms that read no clock, open nothing, start no thread and draw no random number.
PURE_ROOMS = {DOMAIN, PLAN, VERIFY, "coordinator/policy", "coordinator/ledger", "coordinator/core",
              "coordinator/wire", "worker/core"}
IMPURE_HEADERS = {"thread", "mutex", "shared_mutex", "condition_variable", "future", "semaphore",
                  "latch", "barrier", "stop_token", "filesystem", "fstream", "iostream", "ctime",
                  "time.h", "cstdio"}
IMPURE_NAMES = (r"system_clock", r"steady_clock", r"high_resolution_clock", r"random_device",
                r"\brand\s*\(", r"\bsystem_clock\s*\(", r"\bgetenv\b")

# Imported targets of cmake/room_list.cmake -> library above.
LINKED = {
    "gRPC::grpc++": "grpc", "gRPC::grpc++_reflection": "grpc", "SQLite::SQLite3": "sqlite",
    "OpenSSL::SSL": "openssl", "OpenSSL::Crypto": "openssl", "PkgConfig::YAMLCPP": "yaml", "PkgConfig::RE2": "re2",
    "PkgConfig::SECCOMP": "seccomp", "PkgConfig::OPENBLAS": "cblas", "onednn": "onednn", "PkgConfig::XXHASH": "xxhash", "CLI11::CLI11": "cli",
    "nlohmann_json::nlohmann_json": "json", "fmt::fmt": "fmt", "spdlog::spdlog": "spdlog",
    "tl::expected": "expected", "Threads::Threads": "posix", "Boost::url": "url",
    "prometheus-cpp::core": "prometheus", "MPI::MPI_C": "mpi",
}

# A program's wiring may include from tests/ under this switch alone; the shipped build does not set it.
TEST_SWITCH = "OVERWINTER_TEST_SWITCHES"
WIRING_ROOMS = {"coordinator/app", "worker/app"}

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
