#include "hil/run/live_budget.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_NAME "/quicrig/sms-budget.json"

static bool limited(const struct modem_spec *modems, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (modems[i].per_day || modems[i].per_month)
			return true;
	return false;
}

/* Every folder above the file. */
static int make_folders(char *path, struct err *e)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		int rv;

		*at = '\0';
		rv = mkdir(path, 0700) && errno != EEXIST ?
			     err_set(e, ERR_IO, "SMS budget: cannot make the folder %s: %s", path, strerror(errno)) :
			     0;
		*at = '/';
		if (rv)
			return rv;
	}
	return 0;
}

int live_budget_path(const struct modem_spec *modems, size_t n, char *out, size_t size, struct err *e)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	bool own = state && state[0] == '/';
	int len;

	out[0] = '\0';
	if (!limited(modems, n))
		return 0;
	if (!own && (!home || home[0] != '/'))
		return err_set(e, ERR_ENVIRONMENT,
			       "SMS budget: per_day and per_month are counted in a file below XDG_STATE_HOME or HOME; "
			       "set one of them");
	len = snprintf(out, size, "%s%s", own ? state : home, own ? FILE_NAME : "/.local/state" FILE_NAME);
	if (len < 0 || (size_t)len >= size)
		return err_set(e, ERR_LIMIT, "SMS budget: its path is longer than %zu bytes", size - 1);
	return make_folders(out, e);
}
