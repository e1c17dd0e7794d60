/* The floor: a malloc that counts up and takes nothing back. What a program costs on it is its own. */
#include <stddef.h>

/* Before each block, at its end: the block's size. */
enum { HEAD = 16, PAGE = 65536 };

extern unsigned char __heap_base;
static unsigned char *next, *end;

static size_t *size_of(void *block) { return (size_t *)block - 1; }

static size_t rounded(size_t size) { return (size + 15) & ~(size_t)15; }

void *malloc(size_t size) {
    size_t bytes = rounded(size) + HEAD;
    if (next == NULL) {
        next = (unsigned char *)rounded((size_t)&__heap_base);
        end = (unsigned char *)(__builtin_wasm_memory_size(0) * PAGE);
    }
    if (bytes > (size_t)(end - next)) {
        size_t pages = bytes / PAGE + 64;
        if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) {
            return NULL;
        }
        end += pages * PAGE;
    }
    void *block = next + HEAD;
    *size_of(block) = rounded(size);
    next += bytes;
    return block;
}

void free(void *block) { (void)block; }

/* The memory is as the host gave it. */
void *calloc(size_t count, size_t size) { return malloc(count * size); }

void *realloc(void *block, size_t size) {
    if (block != NULL && size <= *size_of(block)) {
        return block;
    }
    void *new = malloc(size);
    if (block != NULL && new != NULL) {
        __builtin_memcpy(new, block, *size_of(block));
    }
    return new;
}

size_t malloc_usable_size(void *block) { return block == NULL ? 0 : *size_of(block); }
