# How every file of ours is compiled. Third-party headers are SYSTEM, so that their warnings are not ours.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE_PROGRAM})
endif()

add_library(overwinter_warnings INTERFACE)
target_compile_options(overwinter_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(overwinter_warnings INTERFACE -Wthread-safety -Werror=thread-safety)
endif()

if(OVERWINTER_SANITIZE)
  add_compile_options(-fsanitize=${OVERWINTER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${OVERWINTER_SANITIZE})
endif()

# x86-64 baseline only: kernels pick AVX2 or AVX-512 at run time.
add_compile_options(-fstack-protector-strong)
add_link_options(-Wl,--as-needed)
