# One target a folder: orrery_library(NAME) takes every .cpp below the calling folder.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

add_library(orrery_options INTERFACE)
target_include_directories(orrery_options INTERFACE ${CMAKE_SOURCE_DIR})
# -ffp-contract=off: no fused multiply-add, so that every compiler computes the same bits (docs/INVARIANTS.md).
target_compile_options(orrery_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>)   # GCC bug 105651: false alarms on std::string +
# Code that a plug-in could replace would not be inlined; nobody replaces ours (2 to 4 % of a run). And GCC clears a
# record of a hundred bytes with `rep stos`, which takes longer to begin than a loop takes.
target_compile_options(orrery_options INTERFACE
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-semantic-interposition>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(orrery_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-mmemset-strategy=unrolled_loop:256:noalign,libcall:-1:noalign>)
endif()
if(ORRERY_WERROR)
  target_compile_options(orrery_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()

# orrery_precompile(TARGET [OWN]): every file of TARGET begins with cmake/precompiled/standard.hpp, already parsed. OWN:
# parsed for TARGET alone, because it has compile options that others have not.
function(orrery_precompile target)
  if(NOT ORRERY_PCH)
    return()
  endif()
  if("OWN" IN_LIST ARGN)
    target_precompile_headers(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:${CMAKE_SOURCE_DIR}/cmake/precompiled/standard.hpp>)
  else()
    target_precompile_headers(${target} REUSE_FROM orrery_precompiled)
  endif()
endfunction()
if(ORRERY_PCH)
  # The first is for ccache, which also needs CCACHE_SLOPPINESS=pch_defines,time_macros. With parsed headers g++ raises
  # more false alarms on std::string + (bug 105651); dev and asan look for true ones.
  target_compile_options(orrery_options INTERFACE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess -Wno-stringop-overflow -Wno-stringop-overread
                                                  -Wno-array-bounds>)
  add_library(orrery_precompiled OBJECT ${CMAKE_SOURCE_DIR}/cmake/precompiled/none.cpp)
  target_link_libraries(orrery_precompiled PRIVATE orrery_options)
  orrery_precompile(orrery_precompiled OWN)
endif()

# orrery_library(NAME [OWN] [DEPENDS target...]); OWN as above.
function(orrery_library name)
  cmake_parse_arguments(ARG "OWN" "" "DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC orrery_options ${ARG_DEPENDS})
  if(ARG_OWN)
    orrery_precompile(${name} OWN)
  else()
    orrery_precompile(${name})
  endif()
endfunction()
