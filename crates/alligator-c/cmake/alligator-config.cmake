# find_package(alligator) defines the target alligator::alligator: link it, and malloc is Alligator's.
#
# Which library it is follows from the target that CMake compiles for: a WASI triple, with or without threads,
# another WebAssembly triple, or this PC.
get_filename_component(_alligator_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(_alligator_triple "${CMAKE_C_COMPILER_TARGET}")
if(_alligator_triple MATCHES "wasi.*threads")
  set(_alligator_target wasm32-wasip1-threads)
elseif(_alligator_triple MATCHES "wasi" OR CMAKE_SYSTEM_NAME STREQUAL "WASI")
  set(_alligator_target wasm32-wasip1)
elseif(_alligator_triple MATCHES "wasm" OR CMAKE_SYSTEM_PROCESSOR MATCHES "wasm")
  set(_alligator_target wasm32-unknown-unknown)
else()
  set(_alligator_target x86_64-unknown-linux-gnu)
endif()

set(_alligator_library "${_alligator_prefix}/lib/${_alligator_target}/liballigator.a")
if(NOT EXISTS "${_alligator_library}")
  set(alligator_FOUND FALSE)
  set(alligator_NOT_FOUND_MESSAGE "there is no library for ${_alligator_target} in ${_alligator_prefix}")
  return()
endif()

if(NOT TARGET alligator::alligator)
  add_library(alligator::alligator STATIC IMPORTED)
  set_target_properties(alligator::alligator PROPERTIES
    IMPORTED_LOCATION "${_alligator_library}"
    INTERFACE_INCLUDE_DIRECTORIES "${_alligator_prefix}/include")
endif()
