# How llama.cpp is compiled for the images and the tests; CMake reads it after each project() of the sources.
#   CMAKE_ARGS=-DCMAKE_PROJECT_INCLUDE=$PWD/containers/llama.cmake pip install llama-cpp-python

# Of it only the library: neither programs nor what reads images.
set(LLAVA_BUILD OFF)
set(LLAMA_BUILD_COMMON OFF)

# For no processor in particular: what multiplies is compiled for several, each a file of its own, and the best that the
# processor can run is taken when the library is loaded (edgebench.backends.llamacpp).
set(GGML_NATIVE OFF)
set(GGML_BACKEND_DL ON)
set(GGML_CPU_ALL_VARIANTS ON)
if(PROJECT_NAME STREQUAL "ggml")
  # Of the sixteen that there are those of small boards: any with SSE4.2, any with AVX2, an N150 (AVX_VNNI); any arm64 as
  # a Pi 4, and a Pi 5 or an Orin (dot products, FP16). Each takes half a minute of a core and a megabyte.
  execute_process(
    COMMAND sed -i -E "/^ *ggml_add_cpu_backend_variant\\(/{/\\((sse42|haswell|alderlake|armv8\\.0_1|armv8\\.2_2)[ )]/!d}"
            src/CMakeLists.txt
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
    COMMAND_ERROR_IS_FATAL ANY)
endif()

# Beside the module for Python, under plain names, as a wheel holds no links; and no word of the folder it was made in.
set(CMAKE_INSTALL_BINDIR llama_cpp/lib)
set(CMAKE_INSTALL_LIBDIR llama_cpp/lib)
set(CMAKE_INSTALL_INCLUDEDIR llama_cpp/include)
set(CMAKE_INSTALL_RPATH $ORIGIN)
set(CMAKE_PLATFORM_NO_VERSIONED_SONAME ON)
if(PROJECT_NAME STREQUAL "llama_cpp")
  add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
endif()
