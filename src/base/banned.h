/*
 * Functions this project does not call: unbounded, locale-bound, static-buffered or silently lossy.
 * Included by every .c file last, so that a use is a compile error.
 */
#ifndef PROVENV_BASE_BANNED_H
#define PROVENV_BASE_BANNED_H

#undef alloca /* <stdlib.h> brings it as a macro, which cannot be poisoned */

/* Fortified libc headers define some of them as macros, which cannot be poisoned. */
#undef strcpy
#undef strcat
#undef strncat
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat strncat sprintf vsprintf gets strtok atoi atol atoll atof
#pragma GCC poison gmtime localtime ctime asctime tmpnam mktemp tempnam alloca rand srand

#endif
