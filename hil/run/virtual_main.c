/* quicrig-virtual: server and fleet in one process on a virtual clock, network and
 * disk. Reads one plan (docs/plan.md) on stdin, writes the journal on descriptor 3.
 * The one binary whose secrets are drawn from a seed; it holds no live socket code. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "core/plant.h"
#include "hil/run/world_rig.h"

#define JOURNAL_FD 3
#define CHUNK_MAX  (1u << 16)

static char chunk[CHUNK_MAX];
static size_t chunk_len;

static int flush_chunk(void)
{
	size_t at = 0;

	while (at < chunk_len) {
		ssize_t n = write(JOURNAL_FD, chunk + at, chunk_len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		at += (size_t)n;
	}
	chunk_len = 0;
	return 0;
}

static int sink(void *ctx, const char *line, size_t len)
{
	(void)ctx;
	if (chunk_len + len > sizeof(chunk) && flush_chunk())
		return ERR_IO;
	if (len > sizeof(chunk))
		return ERR_LIMIT;
	memcpy(chunk + chunk_len, line, len);
	chunk_len += len;
	return 0;
}

/* A plan may name a bug to plant: quicrig-prove has some, the product none. */
static bool take_plant(json_t *plan)
{
	json_t *name = json_object_get(plan, "plant");

#ifdef QUICRIG_PLANT
	return !name || (json_is_string(name) && plant_select(json_string_value(name)));
#else
	return !name;
#endif
}

int main(int argc, char **argv)
{
	struct err e = {0};
	json_error_t je;
	json_t *plan;
	char text[800];
	int rv;

#ifdef QUICRIG_PLANT
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		plant_list(stdout);
		return fflush(stdout) ? 3 : 0;
	}
#endif
	if (argc > 1) {
		fprintf(stderr,
			"%s: reads one plan on stdin and writes its journal on descriptor %d; "
			"'quicrig run --rig virtual' starts it\n",
			argv[0], JOURNAL_FD);
		return 2;
	}
	plan = json_loadf(stdin, JSON_REJECT_DUPLICATES, &je);
	if (!plan) {
		fprintf(stderr, "quicrig-virtual: error: plan: line %d: %s\n", je.line, je.text);
		return 2;
	}
	if (!take_plant(plan)) {
		fprintf(stderr, "%s: error: plan: it asks for a bug that is not here to be planted\n", argv[0]);
		json_decref(plan);
		return 2;
	}
	rv = world_rig_run(plan, sink, NULL, &e);
	if (!rv && flush_chunk())
		rv = err_set(&e, ERR_IO, "journal: %s", strerror(errno));
	json_decref(plan);
	if (rv) {
		flush_chunk();
		fprintf(stderr, "quicrig-virtual: error: %s\n", err_format(&e, text, sizeof(text)));
		return 3;
	}
	return 0;
}
