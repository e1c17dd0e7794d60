// Every function of C that gives memory, with what it gave printed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned seed = 1;

static unsigned next(void) { return seed = seed * 1664525u + 1013904223u; }

int main(int count, char **arguments) {
  enum { BLOCKS = 64 };
  static char *blocks[BLOCKS];
  unsigned rounds = count > 1 ? (unsigned)atoi(arguments[1]) : 3000, sum = 0;
  for (unsigned round = 0; round < rounds; round++) {
    char **place = &blocks[next() % BLOCKS];
    unsigned size = next() >> 8 & (next() % 20 == 0 ? 0xffff : 0x1ff);
    switch (next() >> 16 & 7) {
    case 0: free(*place); *place = calloc(size % 50, 12); break;
    case 1: case 2: *place = realloc(*place, size + 1); break;
    case 3: free(*place); *place = aligned_alloc(64, (size + 63) / 64 * 64); break;
    case 4: free(*place); if (posix_memalign((void **)place, 32, size + 1)) *place = NULL; break;
    case 5: free(*place); *place = NULL; break;
    default: free(*place); *place = malloc(size + 1); memset(*place, (int)round, size + 1);
    }
    sum = sum * 31 + (unsigned)(size_t)*place;
  }
  printf("%08x\n", sum);
  return 0;
}
