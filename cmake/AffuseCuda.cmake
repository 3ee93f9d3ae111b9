# The CUDA toolkit, cuDNN and NCCL of the CUDA backend; what is missing is named, all at once.
# cuDNN and NCCL are sought in the system, below the toolkit, in AFFUSE_CUDNN_ROOT and AFFUSE_NCCL_ROOT
# (folders with include/ and lib/), and where pip installs nvidia-cudnn-cu* and nvidia-nccl-cu*.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 75 80 86 89 90 100 120 CACHE STRING "GPUs to compile for")
endif()
set(AFFUSE_CUDNN_ROOT "" CACHE PATH "Folder with cuDNN's include/ and lib/")
set(AFFUSE_NCCL_ROOT "" CACHE PATH "Folder with NCCL's include/ and lib/")
set(AFFUSE_CUDA_MISSING "")

if(AFFUSE_CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${AFFUSE_CCACHE})
endif()
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(AFFUSE_NVCC nvcc HINTS /usr/local/cuda/bin)
  if(AFFUSE_NVCC)
    set(CMAKE_CUDA_COMPILER ${AFFUSE_NVCC})
  else()
    list(APPEND AFFUSE_CUDA_MISSING "the CUDA toolkit >= 12 (nvcc; set CMAKE_CUDA_COMPILER)")
  endif()
endif()
# CMake 3.25 marks this library as deprecated without asking whether it is there; CUDA 13 has none.
if(NOT TARGET CUDA::nvToolsExt)
  add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
endif()
find_package(CUDAToolkit 12 QUIET)

# The folders where pip puts NVIDIA's libraries, if Python has any.
find_program(AFFUSE_PYTHON python3)
set(AFFUSE_PIP_FOLDERS "")
if(AFFUSE_PYTHON)
  execute_process(COMMAND ${AFFUSE_PYTHON} -c "import nvidia; print(';'.join(nvidia.__path__))"
                  OUTPUT_VARIABLE AFFUSE_PIP_FOLDERS OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()

# affuse_cuda_package(NAME ROOT HEADER LIBRARY SONAME HINT): the target affuse_NAME, or a hint among
# the missing. pip's folders hold no libNAME.so, only the name with its version.
function(affuse_cuda_package name root header library soname hint)
  set(pip_folders "")
  foreach(folder ${AFFUSE_PIP_FOLDERS})
    list(APPEND pip_folders ${folder}/${name} ${folder}/cu13)
  endforeach()
  find_path(AFFUSE_${name}_INCLUDE ${header} HINTS ${root} ${CUDAToolkit_INCLUDE_DIRS}
            PATHS ${pip_folders} PATH_SUFFIXES include)
  find_library(AFFUSE_${name}_LIBRARY NAMES ${library} ${soname} NAMES_PER_DIR HINTS ${root}
               ${CUDAToolkit_LIBRARY_DIR} PATHS ${pip_folders} PATH_SUFFIXES lib64 lib)
  if(AFFUSE_${name}_INCLUDE AND AFFUSE_${name}_LIBRARY)
    add_library(affuse_${name} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(affuse_${name} PROPERTIES
                          IMPORTED_LOCATION "${AFFUSE_${name}_LIBRARY}"
                          INTERFACE_INCLUDE_DIRECTORIES "${AFFUSE_${name}_INCLUDE}")
  else()
    set(AFFUSE_CUDA_MISSING ${AFFUSE_CUDA_MISSING} ${hint} PARENT_SCOPE)
  endif()
endfunction()
affuse_cuda_package(cudnn "${AFFUSE_CUDNN_ROOT}" cudnn.h cudnn libcudnn.so.9
                    "cuDNN 9 (libcudnn9-dev-cuda-*, pip's nvidia-cudnn-cu*, or AFFUSE_CUDNN_ROOT)")
affuse_cuda_package(nccl "${AFFUSE_NCCL_ROOT}" nccl.h nccl libnccl.so.2
                    "NCCL (libnccl-dev, pip's nvidia-nccl-cu*, or AFFUSE_NCCL_ROOT)")

if(NOT TARGET CUDA::cublasLt)  # a toolkit without it; pip has it in cu13/
  affuse_cuda_package(cublasLt "" cublasLt.h cublasLt libcublasLt.so.13
                      "cuBLASLt (libcublas-dev of the toolkit, or pip's nvidia-cublas)")
  if(TARGET affuse_cublasLt)
    add_library(CUDA::cublasLt ALIAS affuse_cublasLt)
  endif()
endif()

if(AFFUSE_CUDA_MISSING)
  list(JOIN AFFUSE_CUDA_MISSING "\n  " missing)
  message(FATAL_ERROR "The CUDA backend (AFFUSE_CUDA) lacks:\n  ${missing}")
endif()
enable_language(CUDA)
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc 12 can
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
