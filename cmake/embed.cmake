# plimsoll_embed(target name ROOT dir FILES ...): puts files into the program as
#   std::span<const plimsoll::EmbeddedFile> plimsoll::embedded::name()
# with paths relative to ROOT (see src/embedded.hpp). The generated source follows the files when they change.
set(PLIMSOLL_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/embed_script.cmake)
function(plimsoll_embed target name)
  cmake_parse_arguments(PARSE_ARGV 2 ARG "" "ROOT" "FILES")
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/embedded_${name}.cpp)
  string(REPLACE ";" "|" joined "${ARG_FILES}")
  add_custom_command(
    OUTPUT ${generated}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DROOT=${ARG_ROOT} "-DFILES=${joined}" -DOUTPUT=${generated}
            -P ${PLIMSOLL_EMBED_SCRIPT}
    DEPENDS ${ARG_FILES} ${PLIMSOLL_EMBED_SCRIPT}
    COMMENT "Embedding ${name}"
    VERBATIM)
  target_sources(${target} PRIVATE ${generated})
endfunction()
