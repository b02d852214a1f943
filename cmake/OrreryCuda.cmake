# The CUDA kernels, where ORRERY_CUDA is on and a CUDA compiler is found (nvcc 12 or later, no GPU or driver needed);
# else ORRERY_CUDA_REASON says why not, and the CPU backend remains. Sets ORRERY_CUDA_FOUND.
#
#   orrery_cuda_library(NAME SOURCES file.cu... [HOPPER])
#
# compiles for ORRERY_CUDA_ARCHITECTURE, or, with HOPPER, for sm_90a (wgmma, TMA). Beside each object lies OBJECT.ptxas,
# what the assembler says of registers and spills (tests/gpu reads it). cudart is linked statically; cuBLASLt and the
# driver are opened at run time, so programs start where neither is.

set(ORRERY_CUDA_ARCHITECTURE 80 CACHE STRING "Compute capability that the ordinary CUDA files are compiled for")
set(ORRERY_CUDA_FOUND OFF)
set(ORRERY_CUDA_REASON "ORRERY_CUDA is off (cmake --preset cuda)")
if(ORRERY_CUDA)
  include(CheckLanguage)
  if(NOT DEFINED CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(CMAKE_CUDA_COMPILER nvcc HINTS /usr/local/cuda/bin)
    if(NOT CMAKE_CUDA_COMPILER)
      unset(CMAKE_CUDA_COMPILER CACHE)
    endif()
  endif()
  set(CMAKE_CUDA_ARCHITECTURES ${ORRERY_CUDA_ARCHITECTURE})
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)      # CMake 3.25 leaves them out for this compiler
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    find_package(CUDAToolkit REQUIRED)
    set(ORRERY_CUDA_FOUND ON)
    set(ORRERY_CUDA_REASON "")
  else()
    set(ORRERY_CUDA_REASON "no CUDA compiler was found (nvcc on the path, /usr/local/cuda/bin, or CUDACXX)")
  endif()
endif()
if(ORRERY_CUDA_FOUND)
  message(STATUS "CUDA kernels: nvcc ${CMAKE_CUDA_COMPILER_VERSION}, sm_${ORRERY_CUDA_ARCHITECTURE} and sm_90a")
else()
  message(STATUS "CUDA kernels: none, ${ORRERY_CUDA_REASON}")
endif()

add_library(orrery_cuda_options INTERFACE)
target_compile_options(orrery_cuda_options INTERFACE
  $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr -Xptxas=-v -Xcompiler=-ffp-contract=off>)

function(orrery_cuda_library name)
  cmake_parse_arguments(ARG "HOPPER" "" "SOURCES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC orrery_options orrery_cuda_options)
  set_target_properties(${name} PROPERTIES
    CUDA_COMPILER_LAUNCHER "${CMAKE_SOURCE_DIR}/cmake/ptxas_report.sh")
  set_property(TARGET ${name} APPEND PROPERTY CUDA_COMPILER_LAUNCHER ${CMAKE_CUDA_COMPILER_LAUNCHER})
  if(ARG_HOPPER)   # CMake 3.25 does not know the suffix a
    set_target_properties(${name} PROPERTIES CUDA_ARCHITECTURES OFF)
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-gencode=arch=compute_90a,code=sm_90a>)
  endif()
endfunction()
