# The built page as bytes of the program: each file of a folder, plain and as gzip, with a table of them
# (coordinator/dashboard/page.h). The files are embedded as they are committed; gzip is of this machine.
#
#   embed_page(coordinator_dashboard coordinator/dashboard/web/dist)
find_program(GZIP_PROGRAM gzip REQUIRED)

function(embed_page target folder)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/${folder} ${CMAKE_SOURCE_DIR}/${folder}/*)
  set(made ${CMAKE_BINARY_DIR}/page)
  set(bytes "    .section .rodata\n")
  set(symbols "")
  set(rows "")
  set(inputs "")
  list(LENGTH files count)
  set(number 0)
  foreach(name IN LISTS files)
    set(plain ${CMAKE_SOURCE_DIR}/${folder}/${name})
    set(packed ${made}/${number}.gz)
    add_custom_command(OUTPUT ${packed} DEPENDS ${plain} VERBATIM
      COMMAND ${CMAKE_COMMAND} -E make_directory ${made}
      COMMAND sh -c "\"$1\" -9 -n -c < \"$2\" > \"$3\"" sh ${GZIP_PROGRAM} ${plain} ${packed})
    list(APPEND inputs ${plain} ${packed})
    foreach(kind IN ITEMS plain gzip)
      set(symbol overwinter_page_${number}_${kind})
      if("${kind}" STREQUAL "plain")
        set(path ${plain})
      else()
        set(path ${packed})
      endif()
      string(APPEND bytes "    .global ${symbol}_begin\n    .global ${symbol}_end\n"
             "${symbol}_begin:\n    .incbin \"${path}\"\n${symbol}_end:\n")
      string(APPEND symbols "extern const char ${symbol}_begin[], ${symbol}_end[];\n")
    endforeach()
    set(own overwinter_page_${number})
    string(APPEND rows "      PageFile{\"${name}\", {${own}_plain_begin, ${own}_plain_end},\n"
           "               {${own}_gzip_begin, ${own}_gzip_end}},\n")
    math(EXPR number "${number} + 1")
  endforeach()
  string(APPEND bytes "    .section .note.GNU-stack, \"\", @progbits\n")
  file(CONFIGURE OUTPUT ${made}/page_bytes.S CONTENT "${bytes}" @ONLY)
  file(CONFIGURE OUTPUT ${made}/page_table.cpp @ONLY CONTENT
"// Made by cmake/page.cmake.
#include <array>
#include \"coordinator/dashboard/page.h\"
extern \"C\" {
${symbols}}
namespace overwinter::dashboard {
std::span<const PageFile> page_files() {
  static const std::array<PageFile, ${count}> files{
${rows}  };
  return files;
}
}  // namespace overwinter::dashboard
")
  target_sources(${target} PRIVATE ${made}/page_bytes.S ${made}/page_table.cpp)
  set_source_files_properties(${made}/page_bytes.S PROPERTIES OBJECT_DEPENDS "${inputs}")
  set_source_files_properties(${made}/page_bytes.S ${made}/page_table.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
