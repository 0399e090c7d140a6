# What `cmake --install` installs: the program, liblmzoo, plugins, cards, man pages, completions of bash
# and zsh, and the SDK: headers, shared blocks, template, `pkg-config lmzoo-sdk` and
# `find_package(lmzoo)`. The tree may be moved as a whole.
include(CMakePackageConfigHelpers)

set(ZOO_PLUGIN_DIR ${CMAKE_INSTALL_LIBDIR}/lmzoo/plugins)
set(ZOO_DATA_DIR ${CMAKE_INSTALL_DATADIR}/lmzoo)
set(ZOO_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/lmzoo)

# The program looks for its plugins and cards from its own place.
file(RELATIVE_PATH ZOO_PLUGINS_FROM_BIN
  /${CMAKE_INSTALL_BINDIR} /${ZOO_PLUGIN_DIR})
file(RELATIVE_PATH ZOO_CARDS_FROM_BIN /${CMAKE_INSTALL_BINDIR} /${ZOO_DATA_DIR}/models.d)
file(RELATIVE_PATH ZOO_PLUGINS_FROM_LIB /${CMAKE_INSTALL_LIBDIR} /${ZOO_PLUGIN_DIR})
file(RELATIVE_PATH ZOO_CARDS_FROM_LIB /${CMAKE_INSTALL_LIBDIR} /${ZOO_DATA_DIR}/models.d)
target_compile_definitions(zoo_host PRIVATE
  LMZOO_PLUGINS_FROM_BIN="${ZOO_PLUGINS_FROM_BIN}" LMZOO_CARDS_FROM_BIN="${ZOO_CARDS_FROM_BIN}"
  LMZOO_PLUGINS_FROM_LIB="${ZOO_PLUGINS_FROM_LIB}" LMZOO_CARDS_FROM_LIB="${ZOO_CARDS_FROM_LIB}")
target_compile_definitions(lmzoo PRIVATE
  LMZOO_PLUGINS_FROM_BIN="${ZOO_PLUGINS_FROM_BIN}" LMZOO_CARDS_FROM_BIN="${ZOO_CARDS_FROM_BIN}")

install(TARGETS lmzoo RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
install(TARGETS zoo_host ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS zoo_api LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime)
install(FILES include/lmzoo.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY models.d/ DESTINATION ${ZOO_DATA_DIR}/models.d COMPONENT runtime
  FILES_MATCHING PATTERN "*.json")
install(DIRECTORY DESTINATION ${ZOO_PLUGIN_DIR})
install(DIRECTORY DESTINATION ${ZOO_DATA_DIR}/models.d)

set(ZOO_PAGES ${PROJECT_BINARY_DIR}/share)
install(DIRECTORY ${ZOO_PAGES}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR} OPTIONAL)
install(DIRECTORY ${ZOO_PAGES}/bash-completion ${ZOO_PAGES}/zsh
  DESTINATION ${CMAKE_INSTALL_DATADIR} OPTIONAL)

install(DIRECTORY sdk/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lmzoo
  FILES_MATCHING PATTERN "*.h" PATTERN "*.inc" PATTERN "template" EXCLUDE)
if(EXISTS ${PROJECT_SOURCE_DIR}/sdk/template)
  install(DIRECTORY sdk/template DESTINATION ${ZOO_DATA_DIR})
endif()
install(DIRECTORY tools/reference DESTINATION ${ZOO_DATA_DIR} COMPONENT runtime USE_SOURCE_PERMISSIONS
  FILES_MATCHING PATTERN "*.py" PATTERN "*.json" PATTERN "requirements.txt" PATTERN "README.md"
  PATTERN "__pycache__" EXCLUDE)
set_target_properties(zoo_sdk PROPERTIES EXPORT_NAME sdk)
set_target_properties(zoo_blocks PROPERTIES EXPORT_NAME blocks)
install(TARGETS zoo_sdk zoo_blocks EXPORT lmzoo ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT lmzoo NAMESPACE lmzoo:: FILE lmzooTargets.cmake DESTINATION ${ZOO_PACKAGE_DIR})

configure_package_config_file(cmake/lmzooConfig.cmake.in ${PROJECT_BINARY_DIR}/lmzooConfig.cmake
  INSTALL_DESTINATION ${ZOO_PACKAGE_DIR}
  PATH_VARS CMAKE_INSTALL_BINDIR ZOO_PLUGIN_DIR ZOO_DATA_DIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lmzooConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/lmzooConfig.cmake ${PROJECT_BINARY_DIR}/lmzooConfigVersion.cmake
  DESTINATION ${ZOO_PACKAGE_DIR})

file(RELATIVE_PATH ZOO_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/lmzoo-sdk.pc.in ${PROJECT_BINARY_DIR}/lmzoo-sdk.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/lmzoo-sdk.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
