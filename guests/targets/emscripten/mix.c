/* C's malloc and a Rust heap in one program for Emscripten, taking turns, until there is no more memory or all is done.
   The exit status is the number of kinds of faults. */
#include <emscripten.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned char *rust_alloc(size_t size);
void rust_dealloc(unsigned char *block, size_t size);
unsigned char *rust_realloc(unsigned char *block, size_t size, size_t new_size);

#define TURNS 4000

static struct block {
    unsigned char *at;
    size_t size;
    int is_rust;
} blocks[2 * TURNS];
static int count, nulls, stale;

static void add(unsigned char *at, size_t size, int is_rust) {
    if (!at) {
        nulls++;
        return;
    }
    memset(at, is_rust ? 0x11 : 0x22, size);
    blocks[count++] = (struct block){at, size, is_rust};
    /* What JavaScript sees of the last byte: nothing, if its view is of a memory that has been replaced. */
    stale += EM_ASM_INT({ return HEAPU8[$0] !== $1; }, at + size - 1, is_rust ? 0x11 : 0x22);
}

static int is_right(const struct block *block) {
    for (size_t i = 0; i < block->size; i++)
        if (block->at[i] != (block->is_rust ? 0x11 : 0x22)) return 0;
    return 1;
}

static void give_back(int index) {
    struct block block = blocks[index];
    blocks[index] = blocks[--count];
    if (block.is_rust)
        rust_dealloc(block.at, block.size);
    else
        free(block.at);
}

int main(void) {
    int wrong = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        size_t size = 1 + turn * 7919 % 20000;
        add(rust_alloc(size), size, 1);
        add(malloc(size), size, 0);
        if (turn % 3 == 0 && count) {
            int index = turn * 31 % count;
            wrong += !is_right(&blocks[index]);
            give_back(index);
        }
        if (turn % 5 == 0 && count && blocks[turn % count].is_rust) {
            struct block *block = &blocks[turn % count];
            unsigned char *at = rust_realloc(block->at, block->size, 2 * block->size);
            if (at) {
                memset(at + block->size, 0x11, block->size);
                block->at = at;
                block->size *= 2;
            }
        }
    }
    int rust = 0;
    for (int i = 0; i < count; i++) {
        rust += blocks[i].is_rust;
        wrong += !is_right(&blocks[i]);
    }
    int kept = count;
    while (count) give_back(count - 1);
    unsigned char *again = rust_alloc(1000);
    printf("%d blocks, %d of Rust; %d null, %d damaged, %d not seen by JavaScript\n", kept, rust, nulls, wrong, stale);
#ifdef GROWS
    int has_nulls = nulls != 0;
#else
    int has_nulls = 0; /* The memory has an end. */
#endif
    return (wrong != 0) + (stale != 0) + (rust == 0) + (again == NULL) + has_nulls;
}
