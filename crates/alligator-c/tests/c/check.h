/* Checks for the tests here: each test is a program, and its exit status says whether all held. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alligator.h"

static unsigned checks, failures;

static void check_failed(const char *file, int line, const char *text) {
    failures++;
    if (failures <= 10) {
        printf("%s:%d: %s\n", file, line, text);
    }
}

/* Counts a check, and says so if it does not hold. */
#define CHECK(condition) (checks++, (condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

/* A pointer the compiler knows nothing about: it must not remove calls of malloc whose result it can guess. */
static inline void *opaque(void *pointer) {
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

/* A size the compiler knows nothing about: it would warn of the impossible ones. */
static inline size_t any(size_t size) {
    __asm__ volatile("" : "+r"(size));
    return size;
}

static inline bool is_aligned(const void *pointer, size_t alignment) {
    return (uintptr_t)pointer % alignment == 0;
}

/* Bytes that belong to one block only. */
static inline void fill(void *block, size_t size, unsigned seed) {
    unsigned char *bytes = block;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(seed * 131 + i * 7 + (i >> 8));
    }
}

static inline bool is_filled(const void *block, size_t size, unsigned seed) {
    const unsigned char *bytes = block;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != (unsigned char)(seed * 131 + i * 7 + (i >> 8))) {
            return false;
        }
    }
    return true;
}

static inline bool is_zero(const void *block, size_t size) {
    const unsigned char *bytes = block;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* The same numbers in each run. */
static uint32_t random_state = 2463534242u;

static inline uint32_t random_below(uint32_t limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

/* The heap's own checker, where there is one. */
static inline void check_heap(void) {
#ifdef TEST_DEBUG
    CHECK(alligator_check());
#endif
}

static inline int finish(void) {
    check_heap();
    printf("%u checks, %u failed\n", checks, failures);
    return failures == 0 ? 0 : 1;
}

#endif
