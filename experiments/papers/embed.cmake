# Writes OUTPUT, a C++ file with every JSON file of SOURCE_DIR as a string literal, sorted by name:
# cmake -DSOURCE_DIR=... -DOUTPUT=... -P embed.cmake
set(text "// Generated from experiments/papers/*.json.\n#include \"experiments/paper.hpp\"\n\nusing namespace std::string_view_literals;\n\nnamespace orrery {\n\nconst std::vector<EmbeddedPaper>& embedded_papers() {\n  static const std::vector<EmbeddedPaper> kFiles{\n")
file(GLOB files ${SOURCE_DIR}/*.json)
list(SORT files)
foreach(path ${files})
  get_filename_component(name ${path} NAME_WLE)
  file(READ ${path} content)
  string(APPEND text "      {\"${name}\", R\"~~~(${content})~~~\"sv},\n")
endforeach()
string(APPEND text "  };\n  return kFiles;\n}\n\n}  // namespace orrery\n")
file(WRITE ${OUTPUT} "${text}")
