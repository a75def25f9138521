/* Token keys: a device that does not know a new one is told of it by a KEYS command, and
 * what a retired one signed serves nobody (protocol.md §2, Rotation). */
#include "hil/judge/oracle_priv.h"

#include <stdio.h>
#include <string.h>

#define UNTOLD_MAX 3 /* publishes that are granted without a word of the new key */
#define KEY_SLACK  (1 * NS_PER_S)
#define TOLD_AGAIN (86400 * NS_PER_S + 60 * NS_PER_S)

void keys_event(struct oracle *o, const struct journal_event *ev)
{
	const char *id = journal_text(ev, JF_ID);

	if (ev->kind == J_KEY_ADDED) {
		if (!o->keys_added++)
			o->key_added_t = ev->t;
		o->key_newest_t = ev->t;
		for (unsigned i = 0; i < ORACLE_KEYS; i++)
			if (!o->keys[i][0]) {
				snprintf(o->keys[i], sizeof(o->keys[i]), "%.16s", id);
				return;
			}
		return;
	}
	for (unsigned i = 0; i < ORACLE_KEYS; i++)
		if (strncmp(o->keys[i], id, 16) == 0)
			return;
	/* none that was added: the one that signed before the first of them */
	if (o->keys_added && o->keys_added <= ORACLE_KEYS && o->key_retired_t == TIME_NEVER)
		o->key_retired_t = ev->t;
}

void keys_decision(struct oracle *o, struct dev *d, const struct slot *s, time_ns issued)
{
	if (s->decision != 200 || s->forced || !o->keys_added)
		return;
	if (o->key_retired_t != TIME_NEVER && s->t > time_add(o->key_retired_t, KEY_SLACK) && issued < o->key_added_t)
		oracle_find(o, INV_KEYS, d, s->t, BLAME_SERVER, "%s: 200 for a token that a retired key signed", s->resource);
	if (strcmp(s->resource, "publishMeasure") != 0 || d->accept_unsigned)
		return;
	if (s->commands_keys)
		d->keys_told_t = s->t;
	/* once a day is often enough, and with a retired key nothing can be told any more */
	if (o->key_retired_t != TIME_NEVER || (d->keys_told_t != TIME_NEVER && s->t < time_add(d->keys_told_t, TOLD_AGAIN)))
		return;
	if (d->keys_told_t == TIME_NEVER || d->keys_told_t < o->key_newest_t) {
		if (s->t > time_add(o->key_newest_t, KEY_SLACK) && !s->commands && ++d->keys_untold == UNTOLD_MAX)
			oracle_find(o, INV_KEYS, d, s->t, BLAME_SERVER, "it is not told of the new token key");
	}
}
