/*
 * Preloaded under qemu: makes the processor look as if it had no cryptographic instructions, as the one of a Raspberry
 * Pi 4. qemu's Cortex-A72 has them. Programs learn of them from the kernel through getauxval(AT_HWCAP), so clearing the
 * bits there is enough for every library that asks before it uses them, which is what cross/qemu-check.sh wants to know.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <sys/auxv.h>

typedef unsigned long (*getauxval_fn)(unsigned long);

unsigned long getauxval(unsigned long type)
{
    static getauxval_fn next;
    const unsigned long crypto = HWCAP_AES | HWCAP_PMULL | HWCAP_SHA1 | HWCAP_SHA2 | HWCAP_SHA3 | HWCAP_SHA512;
    unsigned long value;

    if (next == NULL)
        next = (getauxval_fn)dlsym(RTLD_NEXT, "getauxval");
    value = next(type);
    return type == AT_HWCAP ? value & ~crypto : value;
}
