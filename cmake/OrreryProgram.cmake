# The program as users get it, in the build folder and by cmake --install BUILD --prefix X. It needs nothing but the C
# library (2.34 or later when built on Debian 12), so X can be copied to another x86-64 Linux.

include(GNUInstallDirs)

set_target_properties(orrery PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}
  ENABLE_EXPORTS ON                                          # plug-ins resolve the seam in the program,
  LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,orrery_sim")          # all of it, also what the program itself does not call
if(ORRERY_STATIC_RUNTIME)
  target_link_options(orrery PRIVATE -static-libstdc++ -static-libgcc)
endif()

install(TARGETS orrery RUNTIME)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
install(DIRECTORY experiments/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY sim DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/orrery FILES_MATCHING PATTERN "*.hpp")   # for plug-ins
