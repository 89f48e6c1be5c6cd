include(GNUInstallDirs)
if(LVN_MODEL_ONLY)
  return()
endif()

install(TARGETS livervlmd livervlm RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS lvn_worker_module lvn_engine_module LIBRARY DESTINATION lib/livervlm)
install(FILES config/livervlm.ini.sample DESTINATION ${CMAKE_INSTALL_DATADIR}/livervlm)
install(DIRECTORY config/monitoring/ DESTINATION ${CMAKE_INSTALL_DATADIR}/livervlm/monitoring)
# The configuration itself is never overwritten: an administrator's copy is his.
install(CODE "
  set(target \"\$ENV{DESTDIR}${CMAKE_INSTALL_FULL_SYSCONFDIR}/livervlm/livervlm.ini\")
  if(NOT EXISTS \"\${target}\")
    configure_file(\"${PROJECT_SOURCE_DIR}/config/livervlm.ini.sample\" \"\${target}\" COPYONLY)
    message(STATUS \"Installing: \${target}\")
  endif()")

if(EXISTS ${PROJECT_SOURCE_DIR}/model/packages)
  install(DIRECTORY model/packages/ DESTINATION ${CMAKE_INSTALL_DATADIR}/livervlm/packages)
endif()
install(DIRECTORY model/text/embeddings/ DESTINATION ${CMAKE_INSTALL_DATADIR}/livervlm/text)
install(FILES model/experiment/paper.ini model/experiment/phantom.ini DESTINATION ${CMAKE_INSTALL_DATADIR}/livervlm/experiments)
install(DIRECTORY model/phantom/worlds/ DESTINATION ${CMAKE_INSTALL_DATADIR}/livervlm/worlds)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR})

# systemd reads its files below /usr/lib and /etc alone; with another prefix they are installed below that, to be linked.
foreach(unit livervlm livervlm-pipeline livervlm-worker livervlm-alert)
  configure_file(systemd/${unit}.service.in ${PROJECT_BINARY_DIR}/systemd/${unit}.service @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/systemd/${unit}.service DESTINATION lib/systemd/system)
endforeach()
install(FILES systemd/livervlm-alert.timer DESTINATION lib/systemd/system)
install(FILES systemd/sysusers.conf DESTINATION lib/sysusers.d RENAME livervlm.conf)
install(FILES systemd/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME livervlm.conf)
