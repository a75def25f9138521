/* The SMS ledger, page by page (store_ledger_next). */
#include "server/control_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS (24 * 3600 * INT64_C(1000))

/* Where the next page begins: "day/uuid" of the last row shown. */
static bool read_from(const char *from, int64_t *day, char uuid[UUID_LEN + 1])
{
	int at = 0;

	if (sscanf(from, "%" SCNd64 "/%n", day, &at) != 1 || !at || strlen(from + at) != UUID_LEN)
		return false;
	snprintf(uuid, UUID_LEN + 1, "%s", from + at);
	return true;
}

static json_t *row(const struct store_ledger *l)
{
	return json_pack("{s:I, s:s, s:I, s:I}", "day", (json_int_t)l->day, "uuid", l->uuid, "handed",
			 (json_int_t)l->handed, "returned", (json_int_t)l->returned);
}

json_t *control_ledger(struct server *s, json_t *request, struct err *e)
{
	const char *only = control_text(request, "uuid"), *from = control_text(request, "from");
	json_t *most = json_object_get(request, "limit"), *days = json_object_get(request, "days");
	json_int_t limit = most ? json_integer_value(most) : CONTROL_LIST_LIMIT;
	int64_t day = s->at.unix_ms / DAY_MS - (days ? json_integer_value(days) : STORE_LEDGER_DAYS);
	char uuid[UUID_LEN + 1] = "~", next[UUID_LEN + 24];
	json_t *list = json_array(), *out;
	struct store_ledger l;
	int rv = 0;

	if (limit < 1 || limit > CONTROL_LIST_LIMIT || (days && json_integer_value(days) < 1) ||
	    (from && !read_from(from, &day, uuid))) {
		err_set(e, ERR_PARSE, "days is 1 or more, from is a 'next' that was answered before, limit is 1…%d",
			CONTROL_LIST_LIMIT);
		goto fail;
	}
	while (limit > 0 && (rv = store_ledger_next(s->store, day, only ? only : uuid, only, &l)) == 0) {
		if (json_array_append_new(list, row(&l))) {
			err_set(e, ERR_NOMEM, "out of memory");
			goto fail;
		}
		day = l.day;
		snprintf(uuid, sizeof(uuid), "%s", l.uuid);
		limit--;
	}
	if (rv && rv != ERR_NOTFOUND) {
		err_set(e, rv, "storage failed: %s", store_error(s->store));
		goto fail;
	}
	out = json_pack("{s:o}", "ledger", list);
	snprintf(next, sizeof(next), "%" PRId64 "/%s", day, uuid);
	if (out && !rv)
		json_object_set_new(out, "next", json_string(next));
	return out;
fail:
	json_decref(list);
	return NULL;
}
