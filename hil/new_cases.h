/* Cases that a scenario file can begin with (`quicrig new`). */
#ifndef HIL_NEW_CASES_H
#define HIL_NEW_CASES_H

#include <stddef.h>

struct new_case {
	const char *name, *what;
	const char *text; /* a list item of `scenarios`, with comments; its name is the case's */
};

extern const struct new_case new_cases[];
extern const size_t new_cases_n;

#endif
