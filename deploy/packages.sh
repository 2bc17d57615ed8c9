# shellcheck shell=bash disable=SC2034
# The Debian 12 packages of each purpose, one list a purpose. Sourced by install-dependencies.sh.

packages_build=(
  g++ cmake ninja-build pkg-config
  libgrpc++-dev protobuf-compiler-grpc protobuf-compiler libprotobuf-dev
  libboost1.81-dev libboost-url1.81-dev nlohmann-json3-dev libyaml-cpp-dev libre2-dev
  libopenblas-pthread-dev libdnnl-dev libsqlite3-dev libexpected-dev libspdlog-dev libfmt-dev
  libcli11-dev libssl-dev libxxhash-dev libseccomp-dev prometheus-cpp-dev openmpi-bin libopenmpi-dev
)

# For deploy/bundle.sh.
packages_bundle=(patchelf)

packages_numpy=(python3 python3-numpy)

packages_tests=(
  libgtest-dev libgmock-dev clang-format-14 openssl
  python3 python3-numpy python3-grpcio python3-protobuf sqlite3 iproute2 iptables
  python3-torch libopenblas0-openmp python3-mpi4py libjemalloc2
)

# The page: its build fetches Node 22 by npm; its tests drive a browser.
packages_page=(npm chromium)

# 16: the first one here that knows std::source_location.
packages_tidy=(clang-16 clang-tidy-16)
