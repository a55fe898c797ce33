# Read when llama.cpp's own project begins: of it only the library, not what its programs share.
set(LLAMA_BUILD_COMMON OFF)
