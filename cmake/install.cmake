include(GNUInstallDirs)
if(NOT LVN_MODEL_ONLY)
  install(TARGETS livervlmd livervlm RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
