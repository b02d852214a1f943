# The program as users get it, in the build folder and by cmake --install BUILD --prefix X. It needs nothing but the C
# library (glibc 2.34 or later when built on Debian 12) and libgcc_s, so X can be copied to another x86-64 Linux.

include(GNUInstallDirs)

set_target_properties(orrery PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}
  ENABLE_EXPORTS ON                                          # plug-ins resolve the seam in the program,
  LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,orrery_sim")          # all of it, also what the program itself does not call
if(ORRERY_STATIC_RUNTIME)
  target_link_options(orrery PRIVATE -static-libstdc++)   # libgcc_s is everywhere; a static one would need glibc 2.35
  target_sources(orrery PRIVATE ${CMAKE_SOURCE_DIR}/cmake/portable.cpp)
endif()

install(TARGETS orrery RUNTIME)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
install(DIRECTORY experiments/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY sim DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/orrery FILES_MATCHING PATTERN "*.hpp")   # for plug-ins
