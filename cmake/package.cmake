# A Debian package of the installed tree: cmake --workflow --preset deb. Its dependencies are those of the libraries that
# the programs and their modules are linked to, on the release that it was made on.
if(LVN_MODEL_ONLY)
  return()
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME livervlm)
set(CPACK_PACKAGE_VENDOR "Liver-VLM node project")
set(CPACK_PACKAGE_CONTACT "${CPACK_PACKAGE_VENDOR} <root@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "DICOM node: multiphase liver CT in, structured reports out")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Receives multiphase liver CT with ROIs, aligns the phases, classifies the lesions by Liver-VLM and sends
 structured reports and secondary captures to the PACS. Research use only; not a medical device.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Not linked to: the fonts of the pictures, a BLAS that is not Debian's slow default, users and folders.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "fonts-dejavu-core, libopenblas0-pthread, systemd")
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON) # /etc and lib/systemd are no part of the prefix
set(CPACK_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR})
foreach(script conffiles postinst prerm postrm)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/cmake/deb/${script})
endforeach()
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
