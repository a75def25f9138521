/* Preloaded: the FAIL_AT-th allocation fails, once. Those of libtasn1, GMP and GnuTLS are left out
 * and not counted: libtasn1 4.19 follows a NULL of its own, GMP aborts, and both are called by
 * GnuTLS alone. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EARLY 65536 /* bytes that dlsym itself may ask for before there is a calloc */

static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t), *(*real_realloc)(void *, size_t);
static char early[EARLY];
static size_t early_used;
static long fail_at = -1, seen;

__attribute__((constructor)) static void find(void)
{
	const char *at = getenv("FAIL_AT");

	*(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
	*(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
	*(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
	fail_at = at ? atol(at) : -1;
}

static int fails(const void *caller)
{
	static const char *const not_theirs[] = {"libtasn1", "libgmp", "libgnutls", "libhogweed", "libnettle"};
	Dl_info who;

	if (fail_at < 0)
		return 0;
	if (dladdr(caller, &who) && who.dli_fname)
		for (size_t i = 0; i < sizeof(not_theirs) / sizeof(not_theirs[0]); i++)
			if (strstr(who.dli_fname, not_theirs[i]))
				return 0;
	if (++seen != fail_at)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	if (!real_malloc)
		find();
	return fails(__builtin_return_address(0)) ? NULL : real_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	if (!real_calloc) {
		void *p = early + early_used;

		early_used += (n * size + 15) & ~(size_t)15;
		return early_used <= EARLY ? p : NULL;
	}
	return fails(__builtin_return_address(0)) ? NULL : real_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	if (!real_realloc)
		find();
	return fails(__builtin_return_address(0)) ? NULL : real_realloc(p, size);
}
