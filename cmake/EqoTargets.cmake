# Helpers that every layer's CMakeLists.txt uses.

find_program(EQO_CCACHE ccache)
if(EQO_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${EQO_CCACHE})
endif()

set(EQO_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion $<$<BOOL:${EQO_WERROR}>:-Werror>)

if(EQO_BUILD_TESTS)
  enable_testing()
  find_package(GTest REQUIRED)
  include(GoogleTest)
  # The property of each test, which ctest --timeout does not override.
  set(EQO_TEST_TIMEOUT 120 CACHE STRING "Seconds that one test may take")
endif()
if(EQO_BUILD_BENCH)
  find_package(benchmark REQUIRED)
endif()

# eqo_layer(NAME [PIC] [DEPS lib...] [PRIVATE_DEPS lib...] [TEST_DEPS lib...])
# Builds the library eqo_NAME from every source of the current folder, NAME_tests from its *_test.cpp and, with
# EQO_BUILD_BENCH, NAME_bench from its *_bench.cpp.
function(eqo_layer name)
  cmake_parse_arguments(A "PIC" "" "DEPS;PRIVATE_DEPS;TEST_DEPS" ${ARGN})
  file(GLOB headers CONFIGURE_DEPENDS *.h)
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  file(GLOB tests CONFIGURE_DEPENDS *_test.cpp)
  file(GLOB benches CONFIGURE_DEPENDS *_bench.cpp)
  list(REMOVE_ITEM sources ${tests} ${benches} "")
  list(FILTER sources EXCLUDE REGEX "main\\.cpp$")

  if(sources)
    add_library(eqo_${name} STATIC ${sources})
    set(scope PUBLIC)
    set(private_scope PRIVATE)
    target_compile_options(eqo_${name} PRIVATE ${EQO_WARNINGS})
    if(A_PIC AND EQO_TRAIN)  # part of the training plug-in, a shared object
      set_target_properties(eqo_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    endif()
  else()
    add_library(eqo_${name} INTERFACE)
    set(scope INTERFACE)
    set(private_scope INTERFACE)  # no objects of its own: whoever includes its headers compiles them
  endif()
  target_compile_features(eqo_${name} ${scope} cxx_std_20)
  target_include_directories(eqo_${name} ${scope} $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(eqo_${name} ${scope} Threads::Threads ${A_DEPS})
  if(A_PRIVATE_DEPS)
    target_link_libraries(eqo_${name} ${private_scope} ${A_PRIVATE_DEPS})
  endif()

  if(EQO_BUILD_TESTS AND tests)
    add_executable(${name}_tests ${tests})
    target_compile_options(${name}_tests PRIVATE ${EQO_WARNINGS})
    target_link_libraries(${name}_tests PRIVATE eqo_${name} ${A_TEST_DEPS} GTest::gmock GTest::gtest_main)
    gtest_discover_tests(${name}_tests TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT ${EQO_TEST_TIMEOUT} LABELS ${name})
  endif()
  if(EQO_BUILD_BENCH AND benches)
    add_executable(${name}_bench ${benches})
    target_compile_options(${name}_bench PRIVATE ${EQO_WARNINGS})
    target_link_libraries(${name}_bench PRIVATE eqo_${name} ${A_TEST_DEPS} benchmark::benchmark_main)
  endif()
endfunction()
