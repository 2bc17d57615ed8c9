# A room is one folder and one target: coordinator/core becomes coordinator_core. Its files are whatever
# lies in the folder (main.cpp, *_main.cpp, mpi_*.cpp and cuda_*.cpp excepted), so that adding a file touches no CMake.
#
#   room(coordinator/core USES common/base common/domain LIBRARIES SQLite::SQLite3 [PCH messages] [JOIN])
#   room_program(coordinator/app overwinter-coordinator)           main.cpp of a room becomes a program
#   room_program(worker/gang overwinter-rank MAIN rank_main.cpp SOURCES mpi_collective.cpp LIBRARIES MPI::MPI_C)
#                                       a room of several programs; files that only one of them may link
#
# JOIN: of a build that is made at once (OVERWINTER_JOIN) its files are compiled eight at a time, since reading headers is
# most of what they cost. Names in its unnamed namespaces are then to differ within a room.
# PCH: which headers the room reads precompiled (cmake/precompiled.cmake); without it: standard.
function(join_files target)
  if(OVERWINTER_JOIN)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)  # says nothing where files are joined
  endif()
endfunction()

function(room path)
  cmake_parse_arguments(ROOM "JOIN" "PCH" "USES;LIBRARIES" ${ARGN})
  string(REPLACE "/" "_" target ${path})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${path}/*.cpp ${CMAKE_SOURCE_DIR}/${path}/*.S)
  list(FILTER sources EXCLUDE REGEX "/(main|[a-z_]+_main|mpi_[a-z_]+|cuda_[a-z_]+)\\.cpp$")
  string(REPLACE "/" "_" uses "${ROOM_USES}")
  if(sources)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(${target} PUBLIC ${uses} ${ROOM_LIBRARIES} PRIVATE overwinter_warnings)
    precompiled(${target} "${ROOM_PCH}")
    if(ROOM_JOIN)
      join_files(${target})
    endif()
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${target} INTERFACE ${uses} ${ROOM_LIBRARIES})
  endif()
  set_property(GLOBAL APPEND PROPERTY OVERWINTER_ROOMS ${path})

  if(OVERWINTER_TESTS)
    file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${path}/*_test.cpp)
    if(tests)
      test_program(unit_${target} LABEL unit SOURCES ${tests} USES ${path})
    endif()
  endif()
endfunction()

function(room_program path program)
  cmake_parse_arguments(P "" "MAIN" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT P_MAIN)
    set(P_MAIN main.cpp)
  endif()
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${path}/${P_MAIN})
    return()  # the room comes before its program
  endif()
  list(TRANSFORM P_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/${path}/)
  add_executable(${program} ${CMAKE_SOURCE_DIR}/${path}/${P_MAIN} ${P_SOURCES})
  string(REPLACE "/" "_" target ${path})
  target_link_libraries(${program} PRIVATE ${target} ${P_LIBRARIES} overwinter_warnings)
endfunction()

#   test_program(simulation LABEL simulation SOURCES ... USES coordinator/core ... [LIBRARIES ...])
function(test_program name)
  cmake_parse_arguments(T "" "LABEL;TIMEOUT;PCH" "SOURCES;USES;LIBRARIES" ${ARGN})
  string(REPLACE "/" "_" uses "${T_USES}")
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE ${uses} ${T_LIBRARIES} tests_support GTest::gmock GTest::gtest_main overwinter_warnings)
  compile_lightly(${name})
  if(OVERWINTER_SANITIZE)
    # GCC 12 takes moves of variants for reads of what is not set once a sanitizer's calls stand between.
    target_compile_options(${name} PRIVATE -Wno-maybe-uninitialized)
  endif()
  if(NOT T_PCH)
    set(T_PCH test)
  endif()
  precompiled(${name} ${T_PCH})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 DISCOVERY_MODE PRE_TEST
    PROPERTIES LABELS ${T_LABEL} TIMEOUT ${T_TIMEOUT})
endfunction()
