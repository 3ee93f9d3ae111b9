# Language level, warnings, sanitizers, ccache, and the one way to declare a room.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(AFFUSE_CCACHE ccache)
if(AFFUSE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${AFFUSE_CCACHE})
endif()

# -ffp-contract=off: an expression gives the same bits wherever it is inlined.
# GCC 12 warns of string + char (its bug 105651): -Wno-restrict.
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wnon-virtual-dtor>"
                    "$<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off;-Wno-restrict>")
if(AFFUSE_SANITIZE)
  add_compile_options(
    "$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${AFFUSE_SANITIZE};-fno-omit-frame-pointer;-g1>")
  add_link_options(-fsanitize=${AFFUSE_SANITIZE})
endif()

# affuse_room(NAME [FLAT] [PUBLIC targets...] [PRIVATE targets...]): one static library from the
# folder's .cpp files (FLAT: not those of its subfolders). Vendor libraries are PRIVATE, so that a
# wrong include does not compile.
function(affuse_room name)
  cmake_parse_arguments(ROOM "FLAT" "" "PUBLIC;PRIVATE" ${ARGN})
  set(glob GLOB_RECURSE)
  if(ROOM_FLAT)
    set(glob GLOB)
  endif()
  file(${glob} sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_library(affuse_${name} STATIC ${sources})
  target_include_directories(affuse_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(affuse_${name} PUBLIC ${ROOM_PUBLIC} PRIVATE ${ROOM_PRIVATE})
endfunction()
