# cross.cmake: builds for another Debian architecture with its cross compiler:
#   cmake -DCMAKE_TOOLCHAIN_FILE=cmake/cross.cmake -DLMZOO_TRIPLET=aarch64-linux-gnu -DLMZOO_SYSROOT=FOLDER ...
# The folder, an absolute path, has that architecture's libraries and headers (tests/arch/sysroot makes one).
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LMZOO_TRIPLET LMZOO_SYSROOT)
if(NOT LMZOO_TRIPLET OR NOT LMZOO_SYSROOT)
  message(FATAL_ERROR "a cross build needs -DLMZOO_TRIPLET=<triplet> and -DLMZOO_SYSROOT=<folder>")
endif()
string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR ${LMZOO_TRIPLET})
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${LMZOO_TRIPLET}-gcc)
set(CMAKE_SYSROOT ${LMZOO_SYSROOT})
set(CMAKE_LIBRARY_ARCHITECTURE ${LMZOO_TRIPLET})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${CMAKE_SYSROOT}/usr/lib/${LMZOO_TRIPLET}/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
