/* Lives as another run can be held against them: the whole path, SMS and tokens of each
 * device. Kept only where a control is asked for, since a path grows with every change. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hil/judge/oracle_priv.h"

#define PATH_SIZE_MAX (1024 * 1024) /* bytes of a device's path; what is behind is not compared */

void lives_begin(struct oracle *o)
{
	o->lives = json_object_get(o->plan, "hold_ns") || json_object_get(json_object_get(o->plan, "expect"), "others");
}

void lives_dev(struct oracle *o, struct dev *d)
{
	(void)o;
	buf_init(&d->path, PATH_SIZE_MAX);
}

void lives_enter(struct oracle *o, struct dev *d, enum state_name to)
{
	if (!o->lives || d->path.failed)
		return;
	buf_puts(&d->path, d->path.len ? " " : "");
	buf_puts(&d->path, state_brief(to));
}

void lives_event(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	if (!o->lives)
		return;
	d->sms_n += ev->kind == J_SMS_SUBMITTED;
	d->tokens_n += ev->kind == J_TOKEN_ISSUED;
}

static const char *path_of(const struct dev *d)
{
	return d->path.len ? d->path.data : "";
}

json_t *oracle_lives(const struct oracle *o)
{
	json_t *all = json_object();
	struct dev *d, *next;

	HASH_ITER(hh, o->devs, d, next) {
		json_t *one;

		if (!d->added)
			continue;
		one = json_pack("{s:s, s:I, s:I}", "path", path_of(d), "sms", (json_int_t)d->sms_n, "tokens",
				(json_int_t)d->tokens_n);
		if (!one || json_object_set_new(all, d->label, one)) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

/* "PV RF PV" of a path of any length. */
static const char *end_of(const char *path)
{
	size_t len = strlen(path), want = 32;

	if (len <= want)
		return path;
	path += len - want;
	return path + strcspn(path, " ");
}

bool lives_same(const struct dev *d, json_t *lives, char *got, size_t size)
{
	json_t *was = json_object_get(lives, d->label);
	const char *path = json_string_value(json_object_get(was, "path"));
	json_int_t sms = json_integer_value(json_object_get(was, "sms"));
	json_int_t tokens = json_integer_value(json_object_get(was, "tokens"));

	if (!path)
		snprintf(got, size, "no such device in the control");
	else if (strcmp(path, path_of(d)) != 0)
		snprintf(got, size, "%s%s, in the control %s%s", end_of(path_of(d)) == path_of(d) ? "" : "…",
			 end_of(path_of(d)), end_of(path) == path ? "" : "…", end_of(path));
	else if (sms != (json_int_t)d->sms_n)
		snprintf(got, size, "%" PRIu64 " SMS, in the control %" JSON_INTEGER_FORMAT, d->sms_n, sms);
	else if (tokens != (json_int_t)d->tokens_n)
		snprintf(got, size, "%" PRIu64 " tokens, in the control %" JSON_INTEGER_FORMAT, d->tokens_n, tokens);
	else
		return true;
	return false;
}
