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

# For what runs once or only in tests: more than -O1 costs a quarter of its compile time and buys nothing.
function(compile_lightly target)
  target_compile_options(${target} PRIVATE -O1)
endfunction()

if(OVERWINTER_SANITIZE)
  add_compile_options(-fsanitize=${OVERWINTER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${OVERWINTER_SANITIZE})
  add_compile_definitions(_GLIBCXX_ASSERTIONS)  # an empty optional that is read, an index past the end
  if(OVERWINTER_SANITIZE MATCHES "undefined")
    # A quarter of the compile time for nothing: AddressSanitizer stops at a null pointer and behind an object too, and
    # the tree has no casts down a hierarchy.
    add_compile_options(-fno-sanitize=null,object-size,vptr)
  endif()
endif()

if(OVERWINTER_SANITIZE STREQUAL "thread")
  # protobuf's Map has two more members where this macro is defined (map_field.h), and the system's library is built
  # without it: the same class would have two layouts. libstdc++'s annotations of shared_ptr hang on it too.
  add_compile_options(-U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
endif()

# x86-64 baseline only: kernels pick AVX2 or AVX-512 at run time.
# -pthread for all, so that all can share precompiled headers.
add_compile_options(-fstack-protector-strong -pthread)
add_link_options(-Wl,--as-needed)
