# orrery_fuzzer(NAME FILE [DEPENDS target...]): FILE defines LLVMFuzzerTestOneInput. Under the preset `fuzz` (clang)
# libFuzzer drives it with sanitizers on. In any other build a small driver runs the inputs of tests/fuzz/corpus/NAME
# and 50,000 seeded mutations of them, as a test.

option(ORRERY_FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)

function(orrery_fuzzer name file)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  if(NOT EXISTS ${corpus})
    message(FATAL_ERROR "a fuzz target needs inputs to start from: ${corpus}")
  endif()
  add_executable(${name} ${file})
  target_link_libraries(${name} PRIVATE orrery_options ${ARG_DEPENDS})
  if(ORRERY_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(orrery_fuzzers ${name})
  else()
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/driver.cpp)
    add_test(NAME Fuzz.${name} COMMAND ${name} 50000 ${corpus})
  endif()
endfunction()

if(ORRERY_FUZZ)
  add_custom_target(orrery_fuzzers)
endif()
