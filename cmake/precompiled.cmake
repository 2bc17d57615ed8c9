# Headers that are compiled once and shared: reading them is half of what most files cost. A set belongs to the first
# target that reads it; the others take it from there. gRPC is in none: mapping 300 MB costs what
# reading it anew does. No file may rely on them: the preset tidy reads none.
set(precompiled_of_standard common_base)
set(precompiled_of_messages common_wire)
set(precompiled_of_test tests_support)

set(standard_headers <algorithm> <array> <charconv> <chrono> <cmath> <cstdint> <cstring> <deque> <filesystem> <functional> <map>
    <memory> <optional> <set> <span> <string> <string_view> <thread> <utility> <variant> <vector> <fmt/format.h> <tl/expected.hpp>)
set(message_headers <google/protobuf/message.h> <google/protobuf/util/time_util.h> <overwinter/v1/admin.pb.h>
    <overwinter/v1/artifact.pb.h> <overwinter/v1/billing.pb.h> <overwinter/v1/job.pb.h>)
set(precompiled_standard ${standard_headers})
set(precompiled_messages ${standard_headers} ${message_headers})
set(precompiled_test ${standard_headers} <fstream> <random> <gmock/gmock.h> <gtest/gtest.h>)

# precompiled(TARGET NAME): NAME is standard (or empty), messages or test.
function(precompiled target name)
  if(NOT name)
    set(name standard)
  endif()
  set(owner ${precompiled_of_${name}})
  if(NOT owner)
    message(FATAL_ERROR "${target}: no precompiled headers are named ${name}")
  endif()
  # GCC forgets the pragmas of a header that it precompiles. With these libstdc++ silences itself where its strings would
  # give false reports; AddressSanitizer finds the true ones.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
  endif()
  if(owner STREQUAL target)
    target_precompile_headers(${target} PRIVATE ${precompiled_${name}})
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()
