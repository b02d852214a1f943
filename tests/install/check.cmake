# The installed program needs nothing of this machine but the C library, in a version that other systems have too.
#
#   cmake -DBUILD=<build folder> -DVERB=<argument that must work> -DEXAMPLE=<config> -P check.cmake

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

# In an otherwise empty system: the program, the C library and libgcc_s, nothing else. Needs the right to chroot.
set(empty ${BUILD}/installed_alone)
file(REMOVE_RECURSE ${empty})
execute_process(COMMAND ldd ${program} OUTPUT_VARIABLE libraries COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "/[^ \n]+" libraries "${libraries}")
foreach(file ${libraries} ${program})
  cmake_path(GET file PARENT_PATH folder)
  if(file STREQUAL program)
    set(folder /)
  endif()
  file(COPY ${file} DESTINATION ${empty}${folder} FOLLOW_SYMLINK_CHAIN)
endforeach()
find_program(chroot chroot PATHS /usr/sbin /sbin REQUIRED)
execute_process(COMMAND ${chroot} ${empty} /orrery --version RESULT_VARIABLE alone OUTPUT_QUIET ERROR_VARIABLE why)
if(why MATCHES "not permitted")
  message("may not chroot: not run in an empty system")
else()
  if(alone EQUAL 0)
    file(COPY ${EXAMPLE} DESTINATION ${empty})
    cmake_path(GET EXAMPLE FILENAME example)
    execute_process(COMMAND env -i ${chroot} ${empty} /orrery run /${example} --set /workload/requests=500 --out /out
                    RESULT_VARIABLE alone OUTPUT_QUIET ERROR_VARIABLE why)
  endif()
  if(NOT alone EQUAL 0)
    message(FATAL_ERROR "in an empty system with the C library alone: ${why}")
  endif()
endif()

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
