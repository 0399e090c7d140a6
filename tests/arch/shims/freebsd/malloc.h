#error "FreeBSD's malloc.h says that it is obsolete"
