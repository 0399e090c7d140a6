/* auxv.h: FreeBSD's, what is used of it (tests/arch/foreign). */
#define AT_HWCAP  25
#define AT_HWCAP2 26
int elf_aux_info(int what, void *value, int size);
