# levels.cmake: the architectures that have kernels of their own: their levels, ascending, and the
# compile flags of each. kernels.inc says which slots a level fills; docs/cpus.md explains them.
#
# A file host/kernels/*_<level>.c is compiled with that level's flags alone, and only where its
# architecture is built. detect_<architecture>.c asks the CPU which levels it has. Any other
# architecture builds with the scalar level and OpenBLAS.
set(ZOO_ARCHITECTURES x86_64 aarch64)

set(ZOO_LEVELS_x86_64 avx2 avxvnni avx512 avx512vnni avx512bf16 amx)
set(ZOO_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(ZOO_FLAGS_avxvnni ${ZOO_FLAGS_avx2} -mavxvnni)
set(ZOO_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c)
set(ZOO_FLAGS_avx512vnni ${ZOO_FLAGS_avx512} -mavx512vnni)
set(ZOO_FLAGS_avx512bf16 ${ZOO_FLAGS_avx512} -mavx512bf16)
set(ZOO_FLAGS_amx ${ZOO_FLAGS_avx512} -mavx512vnni -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16)

set(ZOO_LEVELS_aarch64 neon neondot neoni8mm neonbf16)
set(ZOO_FLAGS_neon -march=armv8-a)
set(ZOO_FLAGS_neondot -march=armv8.2-a+dotprod)
set(ZOO_FLAGS_neoni8mm -march=armv8.2-a+dotprod+i8mm)
set(ZOO_FLAGS_neonbf16 -march=armv8.2-a+bf16)

# zoo_find_architecture(OUT): the one that the compiler builds for, or `other`; LMZOO_ARCH names
# another to be built as if the compiler did (`other` leaves the kernels of this one out).
function(zoo_find_architecture out)
  include(CheckCSourceCompiles)
  set(found other)
  foreach(arch ${ZOO_ARCHITECTURES})
    check_c_source_compiles("#ifndef __${arch}__\n#error\n#endif\nint main(void) { return 0; }" ZOO_IS_${arch})
    if(ZOO_IS_${arch})
      set(found ${arch})
    endif()
  endforeach()
  if(NOT LMZOO_ARCH STREQUAL "auto" AND NOT LMZOO_ARCH STREQUAL "other" AND NOT LMZOO_ARCH STREQUAL found)
    message(FATAL_ERROR "LMZOO_ARCH is ${LMZOO_ARCH}, but the compiler builds for ${found}: give auto or other")
  endif()
  if(LMZOO_ARCH STREQUAL "other")
    set(found other)
  endif()
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# zoo_take_kernels(SOURCES ARCH): takes the kernels and detections of other architectures off the
# list SOURCES and gives those of ARCH their flags.
function(zoo_take_kernels sources arch)
  set(taken ${${sources}})
  foreach(of ${ZOO_ARCHITECTURES} other)
    foreach(source ${${sources}})
      foreach(level ${ZOO_LEVELS_${of}})
        if(source MATCHES "/kernels/.*_${level}\\.c$")
          set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ZOO_FLAGS_${level}}")
          if(NOT of STREQUAL arch)
            list(REMOVE_ITEM taken ${source})
          endif()
        endif()
      endforeach()
      if(source MATCHES "/kernels/detect_${of}\\.c$" AND NOT of STREQUAL arch)
        list(REMOVE_ITEM taken ${source})
      endif()
    endforeach()
  endforeach()
  set(${sources} ${taken} PARENT_SCOPE)
endfunction()
