/* A device's disk as the recording has it: stores that failed, and what a power cut left. */
#include "hil/run/offline_int.h"

#include <stdlib.h>
#include <string.h>

#include "core/disk.h"

static bool store_failed(const struct journal_event *ev)
{
	return ev->kind == J_DEVICE_IGNORED && strcmp(journal_text(ev, JF_WHY), "store_failed") == 0;
}

bool offline_of_the_disk(const struct journal_event *ev)
{
	return ev->kind == J_FAULT_FIRED || store_failed(ev);
}

/* The one at this instant of which `is` holds. */
static const struct journal_event *at_once(const struct life *l, bool (*is)(const struct journal_event *))
{
	for (size_t i = 0; i < l->lane->disk.n; i++) {
		const struct journal_event *ev = l->lane->disk.v[i];

		if (ev->t == l->at.now && is(ev))
			return ev;
	}
	return NULL;
}

bool offline_store_fails(const struct life *l)
{
	return at_once(l, store_failed) != NULL;
}

static bool fault_fired(const struct journal_event *ev)
{
	return ev->kind == J_FAULT_FIRED;
}

int offline_unsynced(const struct life *l)
{
	const struct journal_event *fired = at_once(l, fault_fired);
	const char *name = fired ? strrchr(journal_text(fired, JF_NAME), ':') : NULL;
	json_t *fault;
	size_t i;

	/* armed as "suite/name:f1" */
	json_array_foreach(json_object_get(l->o->plan_json, "faults"), i, fault) {
		const char *word = json_string_value(json_object_get(json_object_get(fault, "args"), "unsynced"));

		if (name && word && strcmp(json_string_value(json_object_get(fault, "name")), name + 1) == 0)
			return disk_unsynced_by_name(word);
	}
	return -1;
}
