/* Calls malloc itself. */
#include <stdlib.h>
#include <stdio.h>
int main(void) {
    char *block = malloc(100);
    snprintf(block, 100, "%d", 42);
    puts(block);
    free(block);
    return 0;
}
