/* A module without a C library, whose guards stop it: guards.mjs asks why. */
#include "alligator.h"

#define EXPORT(name) __attribute__((export_name(name)))

static void *volatile block;

EXPORT("last") size_t last(uint32_t part) { return alligator_guard_last(part); }

EXPORT("count") uint32_t count(uint32_t kind) { return alligator_guard_count(kind); }

EXPORT("counts") const uint32_t *counts(void) { return alligator_guard_counts(); }

/* What each of the functions below does is no event before this and after it. */
EXPORT("prepare") int prepare(void) {
    block = malloc(1000);
    return block != NULL && alligator_reserve(1 << 20);
}

EXPORT("allocate") void allocate(void) {
    alligator_guard(ALLIGATOR_ALLOC * ALLIGATOR_TRAP);
    block = malloc(123);
}

EXPORT("give_back") void give_back(void) {
    alligator_guard(ALLIGATOR_FREE * ALLIGATOR_TRAP);
    free(block);
}

EXPORT("resize") void resize(void) {
    alligator_guard(ALLIGATOR_REALLOC * ALLIGATOR_TRAP);
    block = realloc(block, 2345);
}

EXPORT("move") void move(void) {
    void *neighbour = malloc(1000);
    alligator_guard(ALLIGATOR_MOVE * ALLIGATOR_TRAP);
    block = realloc(block, 8765);
    free(neighbour);
}

EXPORT("grow") void grow(void) {
    alligator_guard(ALLIGATOR_GROW * ALLIGATOR_TRAP);
    free(malloc(1 << 19)); /* There is room. */
    block = malloc(1 << 24);
}

EXPORT("nothing") void nothing(void) {
    uint64_t before = alligator_guard((ALLIGATOR_GROW | ALLIGATOR_ALLOC | ALLIGATOR_FREE) * ALLIGATOR_TRAP);
    alligator_unguard(before);
    free(malloc(1 << 24));
}
