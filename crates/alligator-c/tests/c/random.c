/* Many random calls; every block is looked at before it goes. */
#include "check.h"

#include <malloc.h>

enum { BLOCKS = 2000, STEPS = 120000 };

struct block {
    unsigned char *bytes;
    size_t size;
    unsigned seed;
};

static struct block blocks[BLOCKS];

static size_t random_size(void) {
    switch (random_below(10)) {
    case 0:
        return random_below(40000);
    case 1:
    case 2:
        return random_below(4000);
    default:
        return random_below(300);
    }
}

static void check_block(const struct block *block) {
    CHECK(is_filled(block->bytes, block->size, block->seed));
}

static void new_block(struct block *block, unsigned step) {
    size_t size = random_size();
    switch (random_below(6)) {
    case 0:
        block->bytes = calloc(1, size);
        CHECK(is_zero(block->bytes, size));
        break;
    case 1: {
        size_t alignment = (size_t)1 << random_below(14);
        block->bytes = aligned_alloc(alignment, size);
        CHECK(is_aligned(block->bytes, alignment));
        break;
    }
    default:
        block->bytes = malloc(size);
        break;
    }
    CHECK(block->bytes != NULL);
    CHECK(malloc_usable_size(block->bytes) >= size);
    block->size = size;
    block->seed = step;
    fill(block->bytes, size, step);
}

static void resize_block(struct block *block, unsigned step) {
    size_t size = random_size();
    size_t least = size < block->size ? size : block->size;
    block->bytes = realloc(block->bytes, size);
    CHECK(is_filled(block->bytes, least, block->seed));
    block->size = size;
    block->seed = step;
    fill(block->bytes, size, step);
}

int main(void) {
    for (unsigned step = 0; step < STEPS; step++) {
        struct block *block = &blocks[random_below(BLOCKS)];
        if (block->bytes == NULL) {
            new_block(block, step);
        } else {
            check_block(block);
            if (random_below(3) == 0) {
                resize_block(block, step);
            } else {
                free(block->bytes);
                block->bytes = NULL;
            }
        }
        if (step % 10000 == 0) {
            check_heap();
        }
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i].bytes != NULL) {
            check_block(&blocks[i]);
            free(blocks[i].bytes);
        }
    }
    return finish();
}
