# Versions are compatible as Cargo's are: before 1.0, those with the same second number.
set(PACKAGE_VERSION "@VERSION@")
string(REGEX MATCH "^[0-9]+\\.[0-9]+" _alligator_series "${PACKAGE_VERSION}")
if(PACKAGE_FIND_VERSION MATCHES "^${_alligator_series}(\\.|$)"
    AND NOT PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
endif()
