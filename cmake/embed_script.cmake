# Run by plimsoll_embed at build time: FILES (|-separated) under ROOT -> a C++ source at OUTPUT.
string(REPLACE "|" ";" files "${FILES}")
set(arrays "")
set(entries "")
set(index 0)
foreach(file IN LISTS files)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  file(RELATIVE_PATH path ${ROOT} ${file})
  string(APPEND arrays "const unsigned char file_${index}[] = {${bytes}0};\n")
  string(APPEND entries "    {\"${path}\", {reinterpret_cast<const char*>(file_${index}), sizeof file_${index} - 1}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUTPUT} "// Generated; see cmake/embed.cmake.
#include \"embedded.hpp\"

namespace plimsoll::embedded {
namespace {
${arrays}const EmbeddedFile files[] = {
${entries}};
} // namespace

std::span<const EmbeddedFile> ${NAME}() { return files; }

} // namespace plimsoll::embedded
")
