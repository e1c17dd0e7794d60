/* Calls a function that only Alligator has. */
#include <stdlib.h>
#include <stdio.h>
#include "alligator.h"
int main(void) {
    printf("%d\n", alligator_reserve(100000) ? 42 : 0);
    free(malloc(10));
    return 0;
}
