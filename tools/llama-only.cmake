# Read by CMake when it comes to llama.cpp inside llama-cpp-python: its helpers for command line programs are not used here.
set(LLAMA_BUILD_COMMON OFF)
