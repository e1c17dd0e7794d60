/* Does not call malloc itself: the C library does. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
int main(void) {
    puts(strdup("42"));
    return 0;
}
