# Every room, in the order a build passes them. What a room may use: ARCHITECTURE §2; tests/layout checks it.
room(common/base LIBRARIES fmt::fmt spdlog::spdlog tl::expected Threads::Threads)
room(common/domain USES common/base)

add_subdirectory(proto)

room(common/wire JOIN USES common/base common/domain overwinter/proto LIBRARIES gRPC::grpc++ PCH messages)
room(common/formats JOIN USES common/base common/domain LIBRARIES OpenSSL::Crypto nlohmann_json::nlohmann_json)
room(common/spec JOIN USES common/base overwinter/proto LIBRARIES PkgConfig::YAMLCPP PkgConfig::RE2 nlohmann_json::nlohmann_json PCH messages)
room(common/plan JOIN USES common/formats common/base common/domain overwinter/proto)
room(common/verify JOIN USES common/base common/domain common/plan)
room(common/security JOIN USES common/base LIBRARIES gRPC::grpc++ OpenSSL::SSL OpenSSL::Crypto nlohmann_json::nlohmann_json)
room(common/rpc JOIN USES common/base common/domain common/wire common/security common/formats overwinter/proto
     LIBRARIES gRPC::grpc++ PCH messages)

room(coordinator/policy JOIN USES common/base common/domain)
room(coordinator/ledger JOIN USES common/base common/domain)
room(coordinator/core JOIN USES common/base common/domain coordinator/policy coordinator/ledger)
room(coordinator/wire JOIN USES coordinator/core common/wire common/base common/domain overwinter/proto PCH messages)
room(coordinator/store JOIN USES coordinator/core coordinator/wire common/base common/domain common/security overwinter/proto
     LIBRARIES SQLite::SQLite3 OpenSSL::Crypto)
room(coordinator/artifacts JOIN USES common/base common/domain common/plan common/verify common/formats common/security)
room(coordinator/secrets USES common/base common/security)
room(coordinator/telemetry JOIN USES common/base common/domain common/security LIBRARIES PkgConfig::XXHASH)
room(coordinator/notify JOIN USES coordinator/ledger common/spec common/base common/domain common/security
     LIBRARIES nlohmann_json::nlohmann_json)
room(coordinator/runtime JOIN USES coordinator/core coordinator/policy coordinator/store coordinator/artifacts coordinator/telemetry coordinator/notify common/spec common/plan
     common/verify common/formats common/wire common/security common/base common/domain overwinter/proto PCH messages)
room(coordinator/backup JOIN USES coordinator/runtime coordinator/store coordinator/artifacts coordinator/core common/formats
     common/security common/base common/domain)
room(coordinator/rpc JOIN USES coordinator/backup coordinator/runtime coordinator/core coordinator/wire coordinator/store coordinator/artifacts
     coordinator/secrets coordinator/telemetry
     common/spec common/plan common/formats common/wire common/rpc common/security overwinter/proto common/base common/domain
     LIBRARIES gRPC::grpc++ gRPC::grpc++_reflection OpenSSL::Crypto nlohmann_json::nlohmann_json PCH messages)
room(coordinator/dashboard JOIN USES coordinator/runtime coordinator/core coordinator/wire coordinator/store
     coordinator/artifacts coordinator/telemetry common/wire common/security overwinter/proto common/base common/domain
     LIBRARIES Boost::url prometheus-cpp::core nlohmann_json::nlohmann_json)
embed_page(coordinator_dashboard coordinator/dashboard/web/dist)
room(coordinator/app USES coordinator/dashboard coordinator/rpc coordinator/backup coordinator/runtime coordinator/artifacts coordinator/telemetry
     coordinator/secrets coordinator/store
     coordinator/core common/security common/domain common/base
     LIBRARIES CLI11::CLI11 nlohmann_json::nlohmann_json)
room_program(coordinator/app overwinter-coordinator)

room(worker/core JOIN USES common/base common/domain)
room(worker/memory JOIN USES common/base)
room(worker/collective USES worker/memory common/base)
room(worker/kernels USES worker/memory common/plan common/base LIBRARIES PkgConfig::OPENBLAS onednn PkgConfig::XXHASH)
# Loops over arrays: -O2 of GCC 12 leaves most of them scalar. psabi: their vectors never cross a call.
file(GLOB train_kernels ${CMAKE_SOURCE_DIR}/worker/kernels/train_kernels_*.cpp ${CMAKE_SOURCE_DIR}/worker/kernels/strassen_passes_*.cpp)
set_source_files_properties(${train_kernels} PROPERTIES COMPILE_OPTIONS "-O3;-Wno-psabi")
room(worker/compress USES worker/kernels worker/memory common/base)
# As above; and every instruction set gives the bits of the slow twin.
file(GLOB compress_kernels ${CMAKE_SOURCE_DIR}/worker/compress/compress_kernels_*.cpp)
set(compress_options -O3 -Wno-psabi -ffp-contract=off)
if(OVERWINTER_SANITIZE)
  list(APPEND compress_options -fno-ipa-cp) # GCC 12 itself ends in that pass here
endif()
set_source_files_properties(${compress_kernels} PROPERTIES COMPILE_OPTIONS "${compress_options}")
# Kernels of GPUs and their twins.
room(worker/cuda USES worker/kernels worker/memory common/base)
cuda_files(worker/cuda)
room(worker/matmul JOIN USES worker/kernels worker/memory common/plan common/formats common/base common/domain overwinter/proto)
room(worker/train JOIN USES worker/kernels worker/collective worker/memory common/plan common/formats common/base common/domain
     overwinter/proto)
# The user's own programs; its program stands between the daemon and them.
room(worker/exec JOIN USES common/formats common/base common/domain LIBRARIES PkgConfig::SECCOMP)
room_program(worker/exec overwinter-keeper)
set_source_files_properties(${CMAKE_SOURCE_DIR}/worker/exec/python_bytes.S PROPERTIES
  OBJECT_DEPENDS ${CMAKE_SOURCE_DIR}/worker/exec/overwinter.py)
if(OVERWINTER_TESTS)
  add_dependencies(unit_worker_exec overwinter-keeper)
endif()
# GPUs by their driver's library, which is loaded at run time: nothing of it is linked.
room(worker/gpus JOIN USES common/base)
room(worker/local USES common/base common/domain overwinter/proto)
room(worker/gang JOIN USES worker/exec worker/train worker/collective worker/kernels worker/memory worker/local common/plan common/formats common/base common/domain
     overwinter/proto)
room_program(worker/gang overwinter-launch-agent MAIN agent_main.cpp)
room_program(worker/gang overwinter-program-rank MAIN program_rank_main.cpp)
if(MPI_C_FOUND)
  room_program(worker/gang overwinter-rank MAIN rank_main.cpp SOURCES mpi_collective.cpp LIBRARIES MPI::MPI_C)
endif()
room(worker/runtime JOIN USES worker/core worker/exec worker/local worker/matmul worker/kernels worker/memory common/plan common/formats common/security
     common/base common/domain overwinter/proto)
room(worker/programs JOIN USES worker/runtime worker/exec worker/gpus common/formats common/base common/domain overwinter/proto)
if(OVERWINTER_TESTS)
  add_dependencies(unit_worker_programs overwinter-keeper fake-nvml)
  add_dependencies(unit_worker_gpus fake-nvml fake-nvml-old)
endif()
room(worker/rpc JOIN USES worker/runtime common/wire common/rpc common/security common/base common/domain overwinter/proto PCH messages)
# Not joined: worker_test compiles two of its files anew.
room(worker/app USES worker/rpc worker/programs worker/runtime common/security LIBRARIES CLI11::CLI11 nlohmann_json::nlohmann_json)
room_program(worker/app overwinter-worker)

room(client/sdk JOIN USES common/spec common/formats common/rpc common/wire common/security common/base common/domain overwinter/proto
     PCH messages)
room(client/forward JOIN USES common/security common/base LIBRARIES OpenSSL::SSL)
room(client/cli JOIN USES client/sdk client/forward common/plan LIBRARIES CLI11::CLI11 PCH messages)
room_program(client/cli overwinter)

# Command lines, files of settings, the start of a process.
compile_lightly(coordinator_app)
compile_lightly(worker_app)
compile_lightly(client_cli)
compile_lightly(client_forward)

add_subdirectory(tests/bench)
if(OVERWINTER_TESTS)
  add_subdirectory(tests)
endif()
