# Warnings and hardening for every target of this project. PROVENV_WERROR turns warnings into errors.
include(CheckCCompilerFlag)

add_library(provenv_flags INTERFACE)
target_compile_features(provenv_flags INTERFACE c_std_17)
target_compile_definitions(provenv_flags INTERFACE _GNU_SOURCE)

set(_warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wvla -Wformat=2 -Wcast-qual -Wswitch-enum -Wundef -Wduplicated-cond -Wlogical-op)
foreach(_flag IN LISTS _warnings)
  string(MAKE_C_IDENTIFIER "HAVE${_flag}" _have)
  check_c_compiler_flag(${_flag} ${_have})
  if(${_have})
    target_compile_options(provenv_flags INTERFACE ${_flag})
  endif()
endforeach()
if(PROVENV_WERROR)
  target_compile_options(provenv_flags INTERFACE -Werror)
endif()

target_compile_options(provenv_flags INTERFACE -fstack-protector-strong -fno-strict-aliasing
  -fno-omit-frame-pointer)
target_link_options(provenv_flags INTERFACE -Wl,-z,relro -Wl,-z,now)
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(provenv_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()

if(PROVENV_SANITIZE)
  target_compile_options(provenv_flags INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=all)
  target_link_options(provenv_flags INTERFACE -fsanitize=address,undefined)
endif()
if(PROVENV_COVERAGE)
  # Atomic: threads that count in turn would make counters negative.
  target_compile_options(provenv_flags INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(provenv_flags INTERFACE --coverage)
  target_compile_definitions(provenv_flags INTERFACE PROVENV_COVERAGE)
endif()
if(PROVENV_TEST_HOOKS)
  target_compile_definitions(provenv_flags INTERFACE PROVENV_TEST_HOOKS)
endif()
