# One case: the file must compile as it is, and must not with -DMUST_NOT_COMPILE, for the reason that its
# `// expect: REGEX` line gives (alternatives for the words of gcc and clang).
#
#   cmake -DCASE=file.cpp -DCOMPILER=g++ -DROOT=<source> -P check.cmake

function(wrong why)
  message("${CASE}: ${why}")   # as one line: FATAL_ERROR would wrap it
  message(FATAL_ERROR "not as expected")
endfunction()

file(STRINGS ${CASE} expect REGEX "^// expect: ")
string(REGEX REPLACE "^// expect: " "" expect "${expect}")
if(expect STREQUAL "")
  wrong("no '// expect:' line")
endif()

set(compile ${CMAKE_COMMAND} -E env LC_ALL=C ${COMPILER} -std=c++20 -fsyntax-only -I${ROOT} ${CASE})

execute_process(COMMAND ${compile} RESULT_VARIABLE status ERROR_VARIABLE words)
if(NOT status EQUAL 0)
  wrong("the correct twin does not compile:\n${words}")
endif()

execute_process(COMMAND ${compile} -DMUST_NOT_COMPILE RESULT_VARIABLE status ERROR_VARIABLE words)
if(status EQUAL 0)
  wrong("compiles, but must not")
endif()
if(NOT words MATCHES "${expect}")
  wrong("does not compile, but not because of '${expect}':\n${words}")
endif()
