# Writes OUTPUT, a C++ file with every JSON file of SOURCE_DIR/{models,gpus,engines,profiles} as a string literal, so that an
# installed program needs no data files: cmake -DSOURCE_DIR=... -DOUTPUT=... -P embed.cmake
set(text "// Generated from hwmodels/{models,gpus,engines,profiles}/*.json.\n#include <string_view>\n\n#include \"hwmodels/catalogue.hpp\"\n\nusing namespace std::string_view_literals;   // lengths without a constexpr loop\n\nnamespace orrery {\nnamespace {\n\nconstexpr EmbeddedFile kFiles[] = {\n")
foreach(folder models gpus engines profiles)
  file(GLOB files ${SOURCE_DIR}/${folder}/*.json)
  list(SORT files)
  foreach(path ${files})
    get_filename_component(name ${path} NAME_WLE)
    file(READ ${path} content)
    string(APPEND text "    {\"${folder}\", \"${name}\", R\"~~~(${content})~~~\"sv},\n")
  endforeach()
endforeach()
string(APPEND text "};\n\n}  // namespace\n\nstd::span<const EmbeddedFile> embedded_files() { return kFiles; }\n\n}  // namespace orrery\n")
file(WRITE ${OUTPUT} "${text}")
