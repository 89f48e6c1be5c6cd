# lvn_room(TARGET FOLDER [AND folders…] LINK libs…): static library of the folders' own *.c and *.cc (not of their
# sub-folders).
function(lvn_room target folder)
  cmake_parse_arguments(room "NO_PCH" "" "AND;LINK" ${ARGN})
  set(sources)
  foreach(part IN LISTS folder room_AND)
    file(GLOB part_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${part}/*.c ${PROJECT_SOURCE_DIR}/${part}/*.cc)
    list(APPEND sources ${part_sources})
  endforeach()
  add_library(${target} STATIC ${sources})
  target_link_libraries(${target} PRIVATE lvn_warnings PUBLIC ${room_LINK})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  if(NOT room_NO_PCH)
    lvn_use_torch_pch(${target})
  endif()
endfunction()

# lvn_room_with_torch(TARGET FOLDER LINK libs… TORCH libs…): the same in two libraries, TARGET of the C sources and
# TARGET_torch of the *_torch.cc beside them, so that a program that needs the former alone loads no libtorch. The C
# sources may not call the others.
function(lvn_room_with_torch target folder)
  cmake_parse_arguments(room "" "" "LINK;TORCH" ${ARGN})
  lvn_room(${target} ${folder} NO_PCH LINK ${room_LINK})
  get_target_property(sources ${target} SOURCES)
  set(torch_sources ${sources})
  list(FILTER torch_sources INCLUDE REGEX "_torch\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_torch\\.cc$")
  set_target_properties(${target} PROPERTIES SOURCES "${sources}")
  add_library(${target}_torch STATIC ${torch_sources})
  target_link_libraries(${target}_torch PRIVATE lvn_warnings PUBLIC ${target} lvn_torch ${room_TORCH})
  lvn_use_torch_pch(${target}_torch)
endfunction()

# lvn_module(TARGET OUTPUT FOLDER LINK libs…): a module of FOLDER's own sources that a program loads at run time, in
# <build>/lib/livervlm; it exports what its sources declare visible.
function(lvn_module target output folder)
  cmake_parse_arguments(module "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.c)
  add_library(${target} MODULE ${sources})
  target_link_libraries(${target} PRIVATE lvn_warnings ${module_LINK})
  target_compile_definitions(${target} PRIVATE LVN_VERSION="${PROJECT_VERSION}")
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX PREFIX "" OUTPUT_NAME ${output} C_VISIBILITY_PRESET hidden
                        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib/livervlm)
  if(LVN_SANITIZE STREQUAL "") # a sanitizer's symbols are the program's
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
endfunction()

# lvn_program(TARGET FOLDER [EXCEPT sources…] LINK libs…): executable of FOLDER's own sources, in <build>/bin.
function(lvn_program target folder)
  cmake_parse_arguments(program "" "" "EXCEPT;LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.c)
  foreach(except IN LISTS program_EXCEPT)
    list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/${folder}/${except})
  endforeach()
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE lvn_warnings ${program_LINK})
  target_compile_definitions(${target} PRIVATE LVN_VERSION="${PROJECT_VERSION}")
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX
                        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()

# The torch headers cost most of the compile time: one precompiled header serves every *_torch.cc.
function(lvn_use_torch_pch target)
  get_target_property(sources ${target} SOURCES)
  set(has_torch FALSE)
  foreach(source IN LISTS sources)
    if(source MATCHES "_torch\\.cc$")
      set(has_torch TRUE)
    elseif(source MATCHES "\\.(c|cc)$")
      set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
  if(has_torch)
    target_link_libraries(${target} PRIVATE lvn_warnings)
    target_precompile_headers(${target} REUSE_FROM lvn_torch_pch)
  endif()
endfunction()
