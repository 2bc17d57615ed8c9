# CUDA, where it is found: nvcc, the runtime (linked whole: it looks for the driver when it is first called, so that programs
# start on machines without one) and the header of cuBLASLt, whose library is loaded at run time. Without CUDA the rooms are
# the same but for their cuda_*.cpp and *.cu.
find_package(CUDAToolkit 12 QUIET)
set(OVERWINTER_CUDA OFF)
if(CUDAToolkit_FOUND)
  find_file(CUBLASLT_HEADER cublasLt.h PATHS ${CUDAToolkit_INCLUDE_DIRS} NO_DEFAULT_PATH)
  if(CUDAToolkit_NVCC_EXECUTABLE AND TARGET CUDA::cudart_static AND CUBLASLT_HEADER)
    set(OVERWINTER_CUDA ON)
  endif()
endif()
if(OVERWINTER_CUDA)
  message(STATUS "CUDA ${CUDAToolkit_VERSION}: GPU kernels are built")
else()
  message(STATUS "CUDA not found (nvcc, libcudart_static.a, cublasLt.h): GPU kernels are left out")
endif()

# Compute 8.0 runs on all of 8.x, 9.0 on Hopper; what is newer compiles the text of 9.0 itself when a program first calls it. Each
# more costs the build its seconds again. Older ones have no bf16.
set(cuda_architectures
  -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 -gencode arch=compute_90,code=compute_90)

# cuda_files(worker/cuda): the files of a room that need CUDA. nvcc by commands of our own: with CUDA as a language of CMake's,
# every program that has the room would be linked by its rules, and every option of the C++ compiler would go to nvcc too.
function(cuda_files path)
  if(NOT OVERWINTER_CUDA)
    return()
  endif()
  string(REPLACE "/" "_" target ${path})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${path}/cuda_*.cpp)
  file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${path}/*.cu)
  target_sources(${target} PRIVATE ${sources})
  foreach(kernel ${kernels})
    get_filename_component(name ${kernel} NAME)
    set(object ${CMAKE_BINARY_DIR}/cuda/${target}/${name}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda/${target}
      COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${CUDAToolkit_NVCC_EXECUTABLE} -c ${kernel} -o ${object} -ccbin ${CMAKE_CXX_COMPILER}
        -std=c++20 -O3 ${cuda_architectures} -I${CMAKE_SOURCE_DIR} -MD -MF ${object}.d -MT ${object}
        -Xcompiler=-Wall,-Wextra,-Werror,-pthread,-fstack-protector-strong -Werror all-warnings --threads 0
      DEPENDS ${kernel} DEPFILE ${object}.d COMMENT "Building CUDA object ${path}/${name}" VERBATIM)
    target_sources(${target} PRIVATE ${object})
    set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  endforeach()
  target_compile_definitions(${target} PRIVATE OVERWINTER_CUDA)
  target_link_libraries(${target} PRIVATE CUDA::cudart_static)
  # Its headers are the toolkit's own, not ours to warn of.
  target_include_directories(${target} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
endfunction()
