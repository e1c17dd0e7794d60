/* WASI programs have no setjmp. The programs here include the header, and never jump. */
#ifndef SETJMP_H
#define SETJMP_H
typedef int jmp_buf[1];
#endif
