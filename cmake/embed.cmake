# embed_text(FILE HEADER NAME): make HEADER define `static const char NAME[]` with the text of FILE.
function(embed_text file header name)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(STRINGS ${file} _lines ENCODING UTF-8)
  set(_body "")
  foreach(_line IN LISTS _lines)
    string(REPLACE "\\" "\\\\" _line "${_line}")
    string(REPLACE "\"" "\\\"" _line "${_line}")
    string(APPEND _body "\t\"${_line}\\n\"\n")
  endforeach()
  get_filename_component(_name ${file} NAME)
  file(CONFIGURE OUTPUT ${header} CONTENT
    "/* Made from ${_name} by CMake; change that file. */\nstatic const char ${name}[] =\n${_body};\n"
    @ONLY)
endfunction()
