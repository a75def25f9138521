#include "hil/language/who.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/language/vocab.h"

#define GROUP_NAME_MAX 32

/* s3 → 3; 0 where `text` is no modem of that letter. */
static int64_t modem_index(const char *text, char letter)
{
	size_t len = strlen(text);

	if (text[0] != letter || len < 2 || len > 5 || text[1] == '0' || strspn(text + 1, "0123456789") != len - 1)
		return 0;
	return strtoll(text + 1, NULL, 10);
}

bool who_group_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > GROUP_NAME_MAX || !isalpha((unsigned char)name[0]))
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
			return false;
	return !vocab_has("all others server any who", name) && !modem_index(name, 's') && !modem_index(name, 'r');
}

bool who_is_devices(json_t *who)
{
	return !who || (!json_object_get(who, "server") && !json_object_get(who, "modem"));
}

static json_t *find_group(json_t *groups, const char *name)
{
	size_t i;
	json_t *g;

	json_array_foreach(groups, i, g) {
		if (strcmp(json_string_value(json_object_get(g, "name")), name) == 0)
			return g;
	}
	return NULL;
}

static void unknown_group(const struct who_scope *scope, const char *name, char *why, size_t size)
{
	struct vocab_near near;
	char hint[96];
	size_t i;
	json_t *g;

	vocab_near_init(&near, name);
	json_array_foreach(scope->groups, i, g) {
		vocab_near_offer(&near, json_string_value(json_object_get(g, "name")));
	}
	vocab_near_offer(&near, "others");
	vocab_near_offer(&near, "server");
	vocab_near_offer(&near, "all");
	vocab_near_text(&near, hint, sizeof(hint));
	if (!*hint && scope->groups && json_array_size(scope->groups) == 1)
		snprintf(hint, sizeof(hint), "the only group is '%s'",
			 json_string_value(json_object_get(json_array_get(scope->groups, 0), "name")));
	snprintf(why, size, "no group is called '%s'%s%s%s", name, *hint ? " (" : "", hint, *hint ? ")" : "");
}

/* What stands behind the name: "", "[3]" or ":10%". */
static json_t *with_part(const char *name, const char *part, int64_t count, char *why, size_t size)
{
	char *end;

	if (!*part)
		return json_pack("{s:s}", "group", name);
	if (*part == '[' && isdigit((unsigned char)part[1])) {
		long long index = strtoll(part + 1, &end, 10);

		if (strcmp(end, "]") == 0 && index >= 1 && index <= count)
			return json_pack("{s:s, s:I}", "group", name, "index", (json_int_t)index);
		if (strcmp(end, "]") == 0) {
			snprintf(why, size, "'%s%.24s' is not there: %s has devices 1 to %" PRId64, name, part, name, count);
			return NULL;
		}
	}
	if (*part == ':' && isdigit((unsigned char)part[1]) && !strpbrk(part, "xXeEpP")) {
		double share = strtod(part + 1, &end);

		if (strcmp(end, "%") == 0 && share > 0 && share <= 100)
			return json_pack("{s:s, s:f}", "group", name, "ratio", share / 100);
		if (strcmp(end, "%") == 0) {
			snprintf(why, size, "a share is more than 0%% and at most 100%%, not '%.24s'", part + 1);
			return NULL;
		}
	}
	snprintf(why, size, "'%s%.24s' names nobody: write %s, \"%s[3]\" or %s:10%%", name, part, name, name, name);
	return NULL;
}

json_t *who_from_text(const char *text, const struct who_scope *scope, char *why, size_t size)
{
	char name[GROUP_NAME_MAX + 1];
	size_t len = strcspn(text, "[:");
	int64_t count = VOCAB_DEVICES_MAX, s = modem_index(text, 's'), r = modem_index(text, 'r');
	json_t *group;

	if (strcmp(text, "all") == 0 || strcmp(text, "others") == 0 || strcmp(text, "server") == 0)
		return json_pack("{s:b}", text, 1);
	if (s > scope->senders || r > scope->receivers) {
		snprintf(why, size, "no modem is called '%s' (there are %" PRId64 " %s)", text,
			 s ? scope->senders : scope->receivers, s ? "senders" : "receivers");
		return NULL;
	}
	if (s || r)
		return json_pack("{s:s}", "modem", text);
	if (len > GROUP_NAME_MAX) {
		snprintf(why, size, "no group is called '%.40s…'", text);
		return NULL;
	}
	memcpy(name, text, len);
	name[len] = '\0';
	if (!who_group_name(name)) {
		snprintf(why, size, "'%.40s' names nobody: write a group, \"A[3]\", A:10%%, others, all, server or a modem", text);
		return NULL;
	}
	if (scope->groups) {
		group = find_group(scope->groups, name);
		if (!group) {
			unknown_group(scope, name, why, size);
			return NULL;
		}
		count = json_integer_value(json_object_get(group, "count"));
	}
	return with_part(name, text + len, count, why, size);
}

bool who_is_nobody(json_t *who, const struct who_scope *scope)
{
	const char *name = json_string_value(json_object_get(who, "group"));
	json_t *ratio = json_object_get(who, "ratio"), *group = name && scope->groups ? find_group(scope->groups, name) : NULL;

	/* rounded as whoever chooses them does (docs/scenarios.md) */
	return ratio && group && json_number_value(ratio) * (double)json_integer_value(json_object_get(group, "count")) < 0.5;
}
