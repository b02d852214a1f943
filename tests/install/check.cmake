# The installed program needs nothing of this machine but the C library, in a version that other systems have too.
#
#   cmake -DBUILD=<build folder> -DVERB=<argument that must work> -P check.cmake

set(prefix ${BUILD}/installed)
file(REMOVE_RECURSE ${prefix})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
set(program ${prefix}/bin/orrery)

# In an empty environment, from a folder that has nothing to do with the sources.
execute_process(COMMAND env -i ${program} ${VERB} WORKING_DIRECTORY / OUTPUT_QUIET
                COMMAND_ERROR_IS_FATAL ANY)

execute_process(COMMAND objdump -p ${program} OUTPUT_VARIABLE headers COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "NEEDED +[^\n]+" needed "${headers}")
foreach(library ${needed})
  if(NOT library MATCHES " (libc|libm|libgcc_s|ld-linux-x86-64)[.]so")
    message(FATAL_ERROR "the installed program asks for more than the C library: ${library}")
  endif()
endforeach()

# Built on Debian 12, it runs on every system with glibc 2.34 (2021) or later.
execute_process(COMMAND getconf GNU_LIBC_VERSION OUTPUT_VARIABLE here)
string(REGEX REPLACE "[^0-9.]" "" here "${here}")
string(REGEX MATCHALL "GLIBC_[0-9.]+" versions "${headers}")
set(highest 2.0)
foreach(version ${versions})
  string(REPLACE "GLIBC_" "" version ${version})
  if(version VERSION_GREATER highest)
    set(highest ${version})
  endif()
endforeach()
message("needs glibc ${highest}, built with ${here}")
if(here VERSION_LESS_EQUAL 2.36 AND highest VERSION_GREATER 2.34)
  message(FATAL_ERROR "needs glibc ${highest}: something asks for a function that older systems lack")
endif()
