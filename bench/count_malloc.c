/* Counts memory allocations of the program that it is preloaded into, and writes their
 * number to the descriptor that QUICRIG_BENCH_FD names when the program ends. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* glibc's own, beneath the names that we take */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t size);

static unsigned long count;

void *malloc(size_t size)
{
	count++;
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count++;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	count++;
	return __libc_realloc(p, size);
}

__attribute__((destructor)) static void tell(void)
{
	const char *fd = getenv("QUICRIG_BENCH_FD");

	if (fd)
		dprintf(atoi(fd), "%lu\n", count);
}
