# Read by CMake when it comes to llama.cpp inside llama-cpp-python: its helpers for command line programs are not used here.
set(LLAMA_BUILD_COMMON OFF)

# CUDA's fast mathematics drift too far from other machines (docs/portability.md). llama.cpp asks for them among the last options, which no
# flag undoes, so they are taken out when its targets are complete.
function(llmzip_precise_cuda)
    if(TARGET ggml-cuda)
        get_target_property(options ggml-cuda COMPILE_OPTIONS)
        string(REPLACE "-use_fast_math;" "" options "${options}")
        set_property(TARGET ggml-cuda PROPERTY COMPILE_OPTIONS "${options}")
    endif()
endfunction()
cmake_language(DEFER CALL llmzip_precise_cuda)
